"""`data`: find data sets, and keep them in the cache."""

from __future__ import annotations

import argparse

from host_train.commands.options import add_data_dir


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "data", help="find a data set, fetch it if needed, and say where it is", description=__doc__
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="mnist, fashion_mnist, cifar10 (default: all)")
    add_data_dir(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from host_train.data import DATASETS, cache_folder, load_dataset

    print(f"cache: {cache_folder()}")
    for name in args.names or DATASETS:
        dataset = load_dataset(name, args.data_dir)
        shape = " x ".join(map(str, dataset.spec.shape))
        kind = "the published data" if dataset.original else "not the published data"
        print(
            f"{dataset.spec.title}: {len(dataset.train)} + {len(dataset.test)} images of {shape}, {kind}, from"
            f" {dataset.source}"
        )
