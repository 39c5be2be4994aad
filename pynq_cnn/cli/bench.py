"""`bench`: measure images/s of every backend that can run here."""

from __future__ import annotations

import argparse

from pynq_cnn.cli.common import add_batch, add_json, add_model, open_all, print_json, print_table, say
from pynq_cnn.zoo import load_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--images", type=int, default=1000, metavar="N", help="images to run on each backend (1000)")
    add_batch(parser)
    add_model(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> None:
    """Throughput of each, and its ratio to the reference in the same run."""
    reports = []
    with open_all(load_model(args.model), args.batch) as candidates:
        for candidate in candidates:
            if candidate.classifier is not None:
                say(f"measuring {candidate.name} ...")
                reports.append((candidate.name, candidate.classifier.throughput_test(args.images)))
    base = reports[0][1].images_per_second
    if args.json:
        print_json([{**r.to_dict(), "backend": name, "ratio_to_reference": r.images_per_second / base} for name, r in reports])
        return
    print(f"{args.model}, {args.images} images in batches of {args.batch}; of this machine, now")
    rows = []
    for name, report in reports:
        steps = ", ".join(f"{step} {100 * seconds / report.seconds:.0f} %" for step, seconds in report.steps.items())
        rows.append((name, f"{report.images_per_second:,.0f}", f"{report.images_per_second / base:.2f}", steps))
    print_table(("backend", "images/s", "to reference", "where the time goes"), rows)
