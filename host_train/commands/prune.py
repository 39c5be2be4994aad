"""`prune`: prune a trained run in rounds, with fine-tuning; `compress --resume` goes on from there."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from host_train.commands.options import add_data_dir, add_device, add_threads, check_device, set_threads
from host_train.commands.train import _report, _silent

if TYPE_CHECKING:
    from host_train.compression.pipeline import Compression

Number = TypeVar("Number", int, float)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What `prune` and `compress` have in common."""
    parser.add_argument("folder", type=Path, metavar="RUN", help="folder of the run, such as runs/lenet")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the files go (default: RUN/compressed)")
    keep = "part of a layer's weights to keep, or of all layers not named, such as fc1=0.01 0.3; instead of the recipe's"
    parser.add_argument("--keep", nargs="+", metavar="[LAYER=]PART", help=keep)
    threshold = "keep the weights of at least X standard deviations of their layer, instead of --keep"
    parser.add_argument("--threshold", type=float, metavar="X", help=threshold)
    parser.add_argument("--rounds", type=int, metavar="N", help="of pruning and fine-tuning, instead of the recipe's")
    parser.add_argument("--round-epochs", type=int, metavar="N", help="of fine-tuning in each round, instead of the recipe's")
    parser.add_argument("--tune-epochs", type=int, metavar="N", help="of fine-tuning after the last round, instead of the recipe's")
    parser.add_argument("--learning-rate", type=float, metavar="RATE", help="highest of fine-tuning, instead of the recipe's")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted compression; it ends as it would have without")
    add_device(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no line per epoch")
    add_threads(parser)
    add_data_dir(parser)


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("prune", help="prune a run and fine-tune it", description=__doc__)
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    make_compression(args).prune(args.resume)


def make_compression(args: argparse.Namespace) -> Compression:
    """What the options ask for: the recipe of the run's network, changed."""
    from dataclasses import replace

    from host_train.compression.pipeline import Compression, dense_model, layer_sizes
    from host_train.compression.prune import threshold_keep
    from host_train.compression.recipe import find_compression
    from host_train.compression.target import for_target
    from host_train.run import Run
    from pynq_cnn.errors import ArgumentError

    set_threads(args.threads)
    check_device(args.device)
    trained = Run.open(args.folder, args.data_dir)
    model = dense_model(trained)
    if args.keep and args.threshold is not None:
        raise ArgumentError(f"--keep {' '.join(args.keep)} and --threshold {args.threshold:g} both say what is kept; give one of them")
    changes = {
        name: getattr(args, name)
        for name in ("rounds", "round_epochs", "tune_epochs", "learning_rate", "share_epochs")
        if getattr(args, name, None) is not None
    }
    recipe = replace(find_compression(trained.recipe.name), **changes)
    if args.threshold is not None:
        recipe = replace(recipe, keep=threshold_keep(model, args.threshold))
    elif args.keep:
        recipe = replace(recipe, keep=_changed(recipe.keep, by_layer("--keep", args.keep, float)))
    if getattr(args, "bits", None):
        recipe = replace(recipe, bits=_changed(recipe.bits, by_layer("--bits", args.bits, int)))
    sizes = layer_sizes(model)
    recipe = recipe.layers(sizes)
    if getattr(args, "target", None) is not None:
        recipe = for_target(recipe, sizes, args.target)
    report = _silent if args.quiet else _report
    out = args.out or args.folder / "compressed"
    return Compression(trained, out, recipe, args.device, not args.quiet, report, (lambda line: None) if args.quiet else print)


def _changed(recipe: Mapping[str, Number], given: dict[str, Number]) -> dict[str, Number]:
    """What was given instead of the recipe's; a value for all others is for those that the recipe names too."""
    return given if "*" in given else {**recipe, **given}


def by_layer(option: str, words: list[str], kind: Callable[[str], Number]) -> dict[str, Number]:
    """Values by layer, from words like `fc1=0.01`; a word without a name is for all layers that the words do not name.

    Examples
    --------
    >>> by_layer("--keep", ["fc1=0.01", "0.3"], float)
    {'fc1': 0.01, '*': 0.3}
    """
    from pynq_cnn.errors import ArgumentError

    values: dict[str, Number] = {}
    for word in words:
        name, _, value = word.rpartition("=")
        try:
            values[name or "*"] = kind(value)
        except ValueError:
            raise ArgumentError(f"{option} {word}: {value!r} is not a number; write LAYER=NUMBER, or a number for all others") from None
    return values
