"""`bench`: measure images/s of every backend that can run here."""

from __future__ import annotations

import argparse

from pynq_cnn.classifier import Classifier
from pynq_cnn.cli.common import (
    add_batch,
    add_json,
    add_model,
    add_timeout,
    open_all,
    print_json,
    print_not_run,
    print_table,
    working,
)
from pynq_cnn.throughput import ThroughputReport
from pynq_cnn.zoo import load_model

# How long a backend is measured, and on how many images at most, where nothing else is asked for.
SECONDS, MOST = (
    5.0,
    1000,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    images = f"images to run on each backend (as many as take {SECONDS:g} s, at most {MOST})"
    parser.add_argument("--images", type=int, metavar="N", help=images)
    add_batch(parser)
    add_model(parser)
    add_timeout(parser)
    add_json(parser)


def measure(name: str, classifier: Classifier, images: int | None) -> ThroughputReport:
    """Throughput over so many images, or as many as fit: how fast a backend is tells the first of them."""
    with working(f"trying {name}"):
        first = classifier.throughput_test(1).seconds
    if images is None:
        images = max(1, min(MOST, round(SECONDS / first)))
    with working(f"measuring {name} on {images:,} images", first * (images + min(images, classifier.backend.batch))):
        return classifier.throughput_test(images)


def run(args: argparse.Namespace) -> None:
    """Throughput of each, and its ratio to the reference in the same run."""
    with open_all(load_model(args.model), args.batch, args.timeout) as opened:
        reports = [
            (one.name, measure(one.name, one.classifier, args.images)) for one in opened if one.classifier is not None
        ]
    base = reports[0][1].images_per_second
    if args.json:
        print_json(
            [{**r.to_dict(), "backend": name, "ratio_to_reference": r.images_per_second / base} for name, r in reports]
        )
        return
    print(f"{args.model}, in batches of {args.batch}; of this machine, now")
    rows = []
    for name, report in reports:
        steps = ", ".join(f"{step} {100 * seconds / report.seconds:.0f} %" for step, seconds in report.steps.items())
        speed, ratio = report.images_per_second, report.images_per_second / base
        rows.append(
            (name, f"{report.images:,}", f"{speed:,.0f}" if speed >= 100 else f"{speed:.3g}", f"{ratio:.2g}", steps)
        )
    print_table(("backend", "images", "images/s", "to reference", "where the time goes"), rows)
    print_not_run(opened)
