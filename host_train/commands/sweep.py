"""`sweep`: prune a trained run by many thresholds and plot threshold, sparsity and accuracy on the validation
images.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from host_train.commands.options import (
    add_data_dir,
    add_device,
    add_force,
    add_threads,
    find_device,
    say_aside,
    set_threads,
)


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("sweep", help="plot accuracy against pruning thresholds", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="RUN", help="folder of the run, such as runs/lenet")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where JSON and plots go (default: RUN/sweep)")
    thresholds = "in standard deviations of each layer's weights (default: twelve from 0 to 3.5)"
    parser.add_argument("--thresholds", type=float, nargs="+", metavar="X", help=thresholds)
    parser.add_argument(
        "--absolute", action="store_true", help="thresholds in units of the weights, not of their standard deviations"
    )
    parser.add_argument(
        "--epochs", type=int, default=0, metavar="N", help="of fine-tuning at each threshold (default: 0, none)"
    )
    parser.add_argument(
        "--learning-rate", type=float, default=1e-3, metavar="RATE", help="highest of fine-tuning (default: 0.001)"
    )
    add_force(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_device(parser)
    add_threads(parser)
    add_data_dir(parser)
    parser.set_defaults(run=run, goes_on=True)


def run(args: argparse.Namespace) -> None:
    from host_train.compression.subject import subject_of
    from host_train.compression.sweep import STORED, THRESHOLDS, SweepPoint, sweep
    from host_train.runs.run import Run
    from pynq_cnn.errors import ArgumentError

    def report(point: SweepPoint) -> None:
        tuned = "" if point.tuned is None else f", fine-tuned {100 * point.tuned:6.2f} %"
        accuracy = f"accuracy {100 * point.accuracy:6.2f} %{tuned}"
        print(f"threshold {point.threshold:6.3f}  zeros {100 * point.sparsity:6.2f} %  {accuracy}", flush=True)

    if args.absolute and not args.thresholds:
        raise ArgumentError(
            "--absolute is of thresholds in units of the weights; give them, as by --thresholds 0.01 0.02 0.1"
        )
    set_threads(args.threads)
    device = find_device(args.device)
    out = args.out or args.folder / "sweep"
    trained = Run.open(args.folder, args.data_dir)
    if args.force:
        say_aside(out, STORED)
    sweep(
        subject_of(trained, device),
        out,
        args.thresholds or THRESHOLDS,
        absolute=args.absolute,
        epochs=args.epochs,
        learning_rate=args.learning_rate,
        progress=not args.quiet,
        report=report,
    )
    print(f"written: {out}: sweep.json, threshold-accuracy.png, threshold-sparsity.png, sparsity-accuracy.png")
