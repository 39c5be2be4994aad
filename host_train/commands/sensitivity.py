"""`sensitivity`: how much each layer can lose alone: accuracy with one layer pruned, or its weights in few values, and
nothing fine-tuned. Of a run in floating point, on the validation images; of a shipped network or a package in integers,
on test images.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from host_train.commands.model import WHAT, as_taken, find_data, find_model
from host_train.commands.options import add_data_dir, add_device, add_threads, find_device, set_threads


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("sensitivity", help="accuracy with each layer alone compressed", description=__doc__)
    parser.add_argument("model", help=WHAT)
    out = "where table, plot, CSV and JSON go (default: RUN/sensitivity, sensitivity/NETWORK)"
    parser.add_argument("--out", type=Path, metavar="FOLDER", help=out)
    keep = "of a layer's weights to keep (default: ten from 0.8 to 0.01)"
    parser.add_argument("--keep", type=float, nargs="+", metavar="PART", help=keep)
    bits = "of a weight's code: at most 2^N - 1 values and zero (default: 2 to 6)"
    parser.add_argument("--bits", type=int, nargs="+", metavar="N", help=bits)
    parser.add_argument("--images", type=int, metavar="N", help="of a package: test images, from the first (all)")
    parser.add_argument("--dataset", metavar="NAME", help="of a package: the data set, where it does not say it")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_device(parser)
    add_threads(parser)
    add_data_dir(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from dataclasses import asdict

    from host_train.compression.measured import IntegerSubject, Measured
    from host_train.compression.sensitivity import (
        BITS,
        KEEP,
        plot_sensitivity,
        sensitivity,
        to_markdown,
        write_points,
    )
    from host_train.compression.subject import subject_of
    from host_train.files import write_text
    from pynq_cnn.checks import integer
    from pynq_cnn.errors import ArgumentError
    from pynq_cnn.model import Network

    set_threads(args.threads)
    found_model = find_model(args.model, args.data_dir)
    subject: Measured
    if isinstance(found_model, Network):
        dataset = find_data(args.model, found_model, args.dataset, args.data_dir)
        count = len(dataset.test) if args.images is None else integer("--images", args.images, 1, len(dataset.test))
        test, _, _ = as_taken(dataset.test[:count], dataset, found_model)
        subject, place = IntegerSubject(found_model, test, f"test images of {dataset.spec.title}"), Path("sensitivity")
        place /= found_model.name
    elif args.images is not None or args.dataset is not None:
        raise ArgumentError("--images and --dataset are for packages; a run has its own images")
    else:
        subject, place = subject_of(found_model, find_device(args.device)), Path(args.model) / "sensitivity"
    found = sensitivity(subject, args.keep or KEEP, args.bits or BITS, progress=not args.quiet)
    out = args.out or place
    text = to_markdown(found)
    write_text(out / "sensitivity.json", json.dumps({"of": subject.name, **asdict(found)}, indent=1))
    write_text(out / "sensitivity.md", text)
    write_points(found, out / "sensitivity.csv")
    plot_sensitivity(found, out / "sensitivity.png")
    print(f"{text}\n\nwritten: {out}: sensitivity.md, sensitivity.png, sensitivity.csv, sensitivity.json")
