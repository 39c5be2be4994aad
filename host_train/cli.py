"""The command line: `python -m host_train COMMAND`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from host_train.commands import (
    beginnings,
    beside,
    compress,
    convert,
    course,
    data,
    evaluate,
    experiment,
    export,
    front,
    huffman,
    images,
    networks,
    profile,
    prune,
    rates,
    sample,
    sensitivity,
    share,
    spectrum,
    study,
    sweep,
    thin,
    train,
)
from host_train.memory import keep_freed_memory
from pynq_cnn.errors import ArgumentError, PynqCnnError

COMMANDS = (
    data,
    networks,
    profile,
    train,
    evaluate,
    export,
    convert,
    sweep,
    sensitivity,
    experiment,
    thin,
    front,
    beside,
    beginnings,
    prune,
    share,
    huffman,
    compress,
    sample,
    images,
    spectrum,
    rates,
    course,
    study,
)
TRAINING_PACKAGES = {"torch", "sklearn", "matplotlib", "tqdm"}


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands; each module of `host_train.commands` adds its own."""
    parser = argparse.ArgumentParser(
        prog="python -m host_train",
        description="Train the networks of pynq_cnn, measure them, and export them as model packages.",
        epilog="For example: python -m host_train train lenet && python -m host_train export runs/lenet",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add_parser(commands)
    return parser


def going_on(args: argparse.Namespace) -> str:
    """How to go on with an interrupted command, where one can: with `--resume`, or where it `goes_on` by itself."""
    if hasattr(args, "resume") and not args.resume:
        return f"; give the same command with --resume{' in place of --force' if args.force else ''} to go on"
    if hasattr(args, "resume") or getattr(args, "goes_on", False):
        return f"; give the same command again{', without --force,' if args.force else ''} to go on"
    return ""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns
    -------
    int
        0; 1 after an error, whose message goes to the standard error; 130 if interrupted.
    """
    args = make_parser().parse_args(argv)
    keep_freed_memory()
    try:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not getattr(args, "together", False):
            raise ArgumentError(f"only train works in several processes; give {args.command} without torchrun")
        args.run(args)
        sys.stdout.flush()
    except PynqCnnError as error:
        print(f"host_train: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read the output has left; let the interpreter's own last flush go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        place = f"{error.filename} cannot be used: {error.strerror}" if error.filename is not None else str(error)
        advice = "choose another path, or see that this one may be read and written and that the disk is not full"
        print(f"host_train: {place}; {advice}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        if error.name not in TRAINING_PACKAGES:
            raise
        print(
            f"host_train: {error.name} is not installed; install what training needs: pip install 'pynq-cnn[train]'",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        if os.environ.get("RANK", "0") == "0":  # of several processes of torchrun, all are interrupted
            print(f"\nhost_train: interrupted{going_on(args)}", file=sys.stderr)
        return 130
    return 0
