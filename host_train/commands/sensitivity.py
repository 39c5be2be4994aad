"""`sensitivity`: how much each layer of a trained run can lose alone: accuracy on the validation images with one layer
pruned, or its weights in few values, and nothing fine-tuned.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from host_train.commands.options import add_data_dir, add_device, add_threads, find_device, set_threads


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("sensitivity", help="accuracy with each layer alone compressed", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="RUN", help="folder of the run, such as runs/lenet")
    out = "where table, plot, CSV and JSON go (default: RUN/sensitivity)"
    parser.add_argument("--out", type=Path, metavar="FOLDER", help=out)
    keep = "of a layer's weights to keep (default: ten from 0.8 to 0.01)"
    parser.add_argument("--keep", type=float, nargs="+", metavar="PART", help=keep)
    bits = "of a weight's code: at most 2^N - 1 values and zero (default: 2 to 6)"
    parser.add_argument("--bits", type=int, nargs="+", metavar="N", help=bits)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_device(parser)
    add_threads(parser)
    add_data_dir(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from dataclasses import asdict

    from host_train.compression.sensitivity import (
        BITS,
        KEEP,
        plot_sensitivity,
        sensitivity,
        to_markdown,
        write_points,
    )
    from host_train.compression.subject import subject_of
    from host_train.runs.run import Run
    from host_train.training.checkpoint import write_text

    set_threads(args.threads)
    trained = Run.open(args.folder, args.data_dir)
    subject = subject_of(trained, find_device(args.device))
    found = sensitivity(subject, args.keep or KEEP, args.bits or BITS, progress=not args.quiet)
    out = args.out or args.folder / "sensitivity"
    text = to_markdown(found)
    write_text(out / "sensitivity.json", json.dumps({"of": subject.name, **asdict(found)}, indent=1))
    write_text(out / "sensitivity.md", text)
    write_points(found, out / "sensitivity.csv")
    plot_sensitivity(found, out / "sensitivity.png")
    print(f"{text}\n\nwritten: {out}: sensitivity.md, sensitivity.png, sensitivity.csv, sensitivity.json")
