"""`images`: write a data set out as PNG files whose names carry the label, such as 00042_7.png; `evaluate --images`
reads them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from host_train.commands.options import add_data_dir


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("images", help="write a data set out as image files", description=__doc__)
    parser.add_argument("dataset", metavar="NAME", help="mnist, fashion_mnist, cifar10")
    parser.add_argument("out", type=Path, metavar="FOLDER", help="where to; made if it is not there, and must be empty")
    parser.add_argument(
        "--split", choices=("test", "train"), default="test", help="part of the data set (default: test)"
    )
    parser.add_argument("--count", type=int, metavar="N", help="only the first N images (default: all)")
    add_data_dir(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from host_train.data import load_dataset
    from host_train.evaluation.folder import write_folder
    from pynq_cnn.errors import ArgumentError

    dataset = load_dataset(args.dataset, args.data_dir)
    split = getattr(dataset, args.split)
    count = len(split) if args.count is None else args.count
    if not 1 <= count <= len(split):
        raise ArgumentError(f"--count must be from 1 to the {len(split)} images of the {args.split} set, not {count}")
    write_folder(split[:count], dataset.spec.classes, args.out)
    print(f"{count} {args.split} images of {dataset.spec.title}: {args.out}")
