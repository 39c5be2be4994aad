"""`thin`: make a compressed network smaller without further training: leave out the weights that matter least, at
several sizes; a folder for each with its package and table.json, which `front` plots.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from host_train.commands.model import WHAT, as_taken, find_data, find_model
from host_train.commands.options import add_data_dir, add_threads, set_threads

if TYPE_CHECKING:
    from host_train.data import Split
    from pynq_cnn.model import Network


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("thin", help="leave out weights of a compressed network", description=__doc__)
    parser.add_argument("model", help=WHAT)
    keep = "parts of the bytes of its streams to keep (default: 1 0.95 0.9 0.85 0.8 0.75 0.7 0.65 0.6)"
    parser.add_argument("--keep", type=float, nargs="+", metavar="PART", help=keep)
    parser.add_argument("--images", type=int, default=1000, metavar="N", help="training images to measure on (1000)")
    parser.add_argument("--dataset", metavar="NAME", help="the data set, where the package does not say it")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where folders go (default: thin/NETWORK)")
    add_threads(parser)
    add_data_dir(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from dataclasses import replace

    from host_train.compression.dense import layer_sizes
    from host_train.compression.front import plot_front, read_point, to_markdown, write_csv
    from host_train.compression.table import compression_table, to_json
    from host_train.compression.thin import thin, thinned
    from host_train.evaluation.evaluate import evaluate, predict_integers
    from host_train.export.formats import write_checked
    from host_train.files import write_text
    from host_train.networks import RECIPES
    from host_train.quantisation.golden import with_golden
    from pynq_cnn.errors import ArgumentError
    from pynq_cnn.model import Network

    set_threads(args.threads)
    parts = args.keep or [1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6]
    if not all(0 < part <= 1 for part in parts):
        raise ArgumentError(f"--keep must be parts above 0 to 1, not {' '.join(map(str, parts))}")
    network = find_model(args.model, args.data_dir)
    if not isinstance(network, Network):
        raise ArgumentError(f"{args.model} is a run in floating point; give the package of its compression")
    if not any(getattr(layer, "shared", None) is not None for layer in network.layers):
        raise ArgumentError(f"{network.name} is not compressed; first: python -m host_train compress RUN")
    dataset = find_data(args.model, network, args.dataset, args.data_dir)
    test, classes, _ = as_taken(dataset.test, dataset, network)
    left, held_back = _divided(network, dataset.train)
    training, _, _ = as_taken(left[: args.images], dataset, network)
    validation = None if held_back is None else as_taken(held_back, dataset, network)[0]
    dense = layer_sizes(RECIPES[network.name].build(classes=len(network.classes))) if network.name in RECIPES else None
    found = thinned(network, training.images)
    whole = sum(some[0].stored for some in found.values())
    out = args.out or Path("thin") / network.name
    points = []
    for part in parts:
        small = thin(network, found, int(part * whole))
        result = evaluate(predict_integers(small), test, classes)
        stated = {**network.metadata.get("accuracy", {}), "integer_top1": result.top1, "images": len(test)}
        for name in ("agreement", "validation_top1"):  # were of all weights
            stated.pop(name, None)
        if validation is not None:
            stated["validation_top1"] = evaluate(predict_integers(small), validation, classes).top1
        about = {**network.metadata, "thinned": {"kept": part}, "accuracy": stated}
        folder = out / f"{part:g}"
        small = with_golden(replace(small, metadata=about), test.images)
        write_checked(small, folder / "package")
        rows = compression_table(small, folder / "package", dense)
        write_text(folder / "table.json", json.dumps({"accuracy": stated, "layers": to_json(rows)}, indent=1))
        points.append(read_point(folder))
        one = points[-1]
        print(f"{one.name}: {one.stored:,} bytes, {one.ratio:.1f}x, {100 * one.top1:.2f} %", flush=True)
    plot_front(points, (), out / "front.png", f"{network.name}, thinned without training")
    write_csv(points, out / "front.csv")
    print(to_markdown(points))


def _divided(network: Network, train: Split) -> tuple[Split, Split | None]:
    """The training images as the training of the network divided them, where its package tells; else all, and None."""
    from host_train.networks import RECIPES
    from host_train.runs.run import division
    from pynq_cnn.checks import is_integer

    seed = network.metadata.get("seed", -1)
    if network.name not in RECIPES or not is_integer(seed, 0):
        return train, None
    return division(RECIPES[network.name], train, seed)
