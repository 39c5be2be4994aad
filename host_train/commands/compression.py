"""Common parts of `prune`, `share`, `huffman` and `compress`: their options, and what these make of the recipe of a
run's network.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from host_train.commands.options import (
    add_beginning,
    add_data_dir,
    add_device,
    add_threads,
    find_device,
    say_aside,
    set_threads,
)
from host_train.commands.train import print_epoch

if TYPE_CHECKING:
    from host_train.compression.pipeline import Compression

Number = TypeVar("Number", int, float)

# Options that change the result, in the order of the command line.
LISTS = ("units", "keep", "bits")
OF_RECIPE = ("rounds", "round_epochs", "tune_epochs", "learning_rate", "share_epochs", "distillation")
NUMBERS = ("threshold", "target", *OF_RECIPE, "threads")


def add_places(parser: argparse.ArgumentParser) -> None:
    """The run, and the folder of its compression."""
    parser.add_argument("folder", type=Path, metavar="RUN", help="folder of the run, such as runs/lenet")
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="folder of the compression (default: RUN/compressed)"
    )


def add_pruning(parser: argparse.ArgumentParser) -> None:
    """How is pruned."""
    units = (
        "outputs of a layer that are left before its weights are pruned, such as conv2=20 fc1=100: those of the largest"
        " weights into and out of them; --keep is then of the weights that are there still"
    )
    parser.add_argument("--units", nargs="+", metavar="LAYER=N", help=units)
    keep = (
        "part of a layer's weights to keep, or of all layers not named, such as fc1=0.01 0.3; instead of the recipe's"
    )
    parser.add_argument("--keep", nargs="+", metavar="[LAYER=]PART", help=keep)
    threshold = "keep the weights of at least X standard deviations of their layer, instead of --keep"
    parser.add_argument("--threshold", type=float, metavar="X", help=threshold)
    absolute = "--threshold is in units of the weights themselves, not of their standard deviations"
    parser.add_argument("--absolute", action="store_true", help=absolute)
    parser.add_argument("--rounds", type=int, metavar="N", help="of pruning and fine-tuning, instead of the recipe's")
    parser.add_argument(
        "--round-epochs", type=int, metavar="N", help="of fine-tuning in each round, instead of the recipe's"
    )
    parser.add_argument(
        "--tune-epochs", type=int, metavar="N", help="of fine-tuning after the last round, instead of the recipe's"
    )
    parser.add_argument(
        "--learning-rate", type=float, metavar="RATE", help="highest of fine-tuning, instead of the recipe's"
    )
    distillation = "part of the loss of fine-tuning that learns the trained network's answers, instead of the recipe's"
    parser.add_argument("--distillation", type=float, metavar="PART", help=distillation)


def add_sharing(parser: argparse.ArgumentParser) -> None:
    """How weights are shared."""
    bits = (
        "width of a layer's codebook index, or that of all layers not named, such as fc1=3 4; instead of the recipe's"
    )
    parser.add_argument("--bits", nargs="+", metavar="[LAYER=]N", help=bits)
    parser.add_argument(
        "--share-epochs", type=int, metavar="N", help="of fine-tuning shared weights, instead of the recipe's"
    )


def add_training(parser: argparse.ArgumentParser) -> None:
    """Options of the commands that train."""
    add_beginning(parser, "compression")
    add_device(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no line per epoch")
    add_threads(parser)
    add_data_dir(parser)


def make_compression(args: argparse.Namespace, after: str | None = None) -> Compression:
    """The compression that the options ask for: the recipe of the run's network, changed.

    Parameters
    ----------
    args : argparse.Namespace
        Parsed options of one of the commands; those that it does not have change nothing.
    after : {"prune", "share"}, optional
        The stage in the compression's folder that the command goes on from; what was asked of it and of those before it
        is as it was.
    """
    from dataclasses import replace

    from host_train.compression.dense import dense_model, layer_sizes
    from host_train.compression.narrow import narrow
    from host_train.compression.pipeline import Compression
    from host_train.compression.prune import threshold_keep
    from host_train.compression.recipe import find_compression
    from host_train.compression.stages import STAGE, STAGES, as_made
    from host_train.compression.target import for_target
    from host_train.runs.run import Run
    from pynq_cnn.errors import ArgumentError

    def given(name: str) -> Any:
        return getattr(args, name, None)

    set_threads(args.threads)
    device, quiet = find_device(given("device") or "cpu"), bool(given("quiet"))
    trained, out = Run.open(args.folder, args.data_dir), args.out or args.folder / "compressed"
    recipe = replace(
        find_compression(trained.recipe.name), **{name: given(name) for name in OF_RECIPE if given(name) is not None}
    )
    if after is not None:
        recipe = as_made(trained, out, recipe, after)
    if given("units"):
        recipe = replace(recipe, units=by_layer("--units", args.units, int))
    whole = dense_model(trained)
    model = narrow(whole, recipe.units)
    if given("keep") and given("threshold") is not None:
        raise ArgumentError(
            f"--keep {' '.join(args.keep)} and --threshold {args.threshold:g} both say what is kept; give one of them"
        )
    if given("absolute") and given("threshold") is None:
        raise ArgumentError("--absolute says how --threshold is meant; give that too")
    if given("threshold") is not None:
        recipe = replace(recipe, keep=threshold_keep(model, args.threshold, args.absolute))
    elif given("keep"):
        recipe = replace(recipe, keep=_changed(recipe.keep, by_layer("--keep", args.keep, float)))
    if given("bits"):
        recipe = replace(recipe, bits=_changed(recipe.bits, by_layer("--bits", args.bits, int)))
    sizes = layer_sizes(model)
    recipe = recipe.layers(sizes)
    if given("target") is not None:
        recipe = for_target(recipe, sizes, args.target, sum(sum(one) for one in layer_sizes(whole).values()))
    if given("force"):
        if after == "prune":
            say_aside(out / "share", STAGE)
        else:
            for stage in STAGES:
                say_aside(out, f"{stage}/{STAGE}")
    command = command_line(args, trained.recipe.name)
    if quiet:
        return Compression(trained, out, recipe, device, progress=False, command=command)
    return Compression(trained, out, recipe, device, report=print_epoch, say=print, command=command)


def command_line(args: argparse.Namespace, network: str) -> str:
    """The command line that does it again; the run is named as `train` names it."""
    words = [f"python -m host_train {args.command} runs/{network}"]
    for name in LISTS:
        if getattr(args, name, None):
            words.append(f"--{name} {' '.join(getattr(args, name))}")
    for name in NUMBERS:
        if getattr(args, name, None) is not None:
            words.append(f"--{name.replace('_', '-')} {getattr(args, name):.15g}")
            words += ["--absolute"] * (name == "threshold" and args.absolute)
    return " ".join(words)


def _changed(recipe: Mapping[str, Number], given: dict[str, Number]) -> dict[str, Number]:
    """A recipe's values with those given in their place; a value for all others replaces named ones too."""
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
            raise ArgumentError(
                f"{option} {word}: {value!r} is not a number; write LAYER=NUMBER, or a number for all others"
            ) from None
    return values
