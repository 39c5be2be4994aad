"""`sample`: write some real test images, as many of each class, chosen by a seed and not by how they are recognised."""

from __future__ import annotations

import argparse
from pathlib import Path

from host_train.commands.options import add_data_dir


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "sample", help="write the sample of test images that pynq_cnn ships", description=__doc__
    )
    parser.add_argument("--dataset", default="mnist", metavar="NAME", help="which data set (default: mnist)")
    parser.add_argument("--per-class", type=int, default=50, metavar="N", help="images of each class (default: 50)")
    parser.add_argument("--seed", type=int, default=0, help="chooses them (default: 0)")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="NPZ",
        help="the file (default: pynq_cnn/samples/NAME.npz beside the package's code)",
    )
    add_data_dir(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    import pynq_cnn
    from host_train.data import load_dataset
    from host_train.data.npz import write_npz
    from host_train.data.sample import take_sample
    from pynq_cnn.checks import integer

    seed = integer("--seed", args.seed, 0)
    dataset = load_dataset(args.dataset, args.data_dir)
    arrays = take_sample(dataset.test, len(dataset.spec.classes), args.per_class, seed)
    out = args.out or Path(pynq_cnn.__file__).parent / "samples" / f"{args.dataset}.npz"
    write_npz(out, arrays, compressed=True)
    print(f"{len(arrays['labels'])} test images of {dataset.spec.title}, {args.per_class} of each class: {out}")
