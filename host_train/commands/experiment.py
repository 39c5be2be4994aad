"""`experiment`: the steps of the Deep Compression experiment on a run: prune by one absolute threshold after the other,
share what is left in few bits, fine-tune each time; the accuracy on the test set at every step beside the
experiment's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from host_train.commands.options import add_data_dir, add_device, add_threads, find_device, set_threads


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "experiment", help="the Deep Compression experiment, step by step", description=__doc__
    )
    parser.add_argument("folder", type=Path, metavar="RUN", help="folder of the run, such as runs/deepnet")
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="where its files go, or have gone (default: RUN/experiment)"
    )
    parser.add_argument(
        "--thresholds", type=float, nargs="+", metavar="X", help="of absolute weights (default: 0.01 0.02 0.1)"
    )
    parser.add_argument("--bits", type=int, default=2, metavar="N", help="of a shared weight (default: 2)")
    parser.add_argument("--epochs", type=int, default=4, metavar="N", help="of each fine-tuning (default: 4)")
    parser.add_argument(
        "--learning-rate", type=float, default=1e-3, metavar="RATE", help="highest of fine-tuning (default: 0.001)"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_device(parser)
    add_threads(parser)
    add_data_dir(parser)
    parser.set_defaults(run=run, goes_on=True)


def run(args: argparse.Namespace) -> None:
    from host_train.compression.experiment import THRESHOLDS, Step, experiment, to_markdown
    from host_train.compression.recipe import index_bits
    from host_train.runs.run import Run

    def report(step: Step) -> None:
        accuracy = f"{100 * step.before:.2f} % before fine-tuning, {100 * step.after:.2f} % after"
        print(f"{step.name}: {100 * step.kept:.3f} % of the weights kept, {accuracy}", flush=True)

    set_threads(args.threads)
    device = find_device(args.device)
    index_bits("all layers", args.bits)
    out = args.out or args.folder / "experiment"
    steps = experiment(
        Run.open(args.folder, args.data_dir),
        out,
        tuple(args.thresholds or THRESHOLDS),
        args.bits,
        epochs=args.epochs,
        learning_rate=args.learning_rate,
        device=device,
        progress=not args.quiet,
        report=report,
    )
    print(f"\n{to_markdown(steps)}\n\nwritten: {out}: experiment.json, experiment.md")
