"""The command `pynq-cnn`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from pynq_cnn import __version__
from pynq_cnn.cli import bench, classify, compile, demo, doctor, estimate, models, selftest, web
from pynq_cnn.errors import ArgumentError, PynqCnnError

COMMANDS = (classify, demo, web, models, selftest, doctor, bench, estimate, compile)


def make_parser() -> argparse.ArgumentParser:
    """The parser, with one sub-command for each module of this package."""
    parser = argparse.ArgumentParser(
        prog="pynq-cnn", description="Convolutional networks on the PYNQ-Z2, and the same bits on a laptop."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        name = command.__name__.rpartition(".")[2]
        summary = (command.__doc__ or "").strip().splitlines()[0].removeprefix(f"`{name}`: ").rstrip(".")
        sub = commands.add_parser(name, help=summary, description=f"{summary[:1].upper()}{summary[1:]}.")
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns
    -------
    int
        0 if all went well, 1 for a failure, 2 for unusable arguments, 130 after Ctrl-C.
    """
    args = make_parser().parse_args(arguments)
    try:
        code = int(args.run(args) or 0)
        sys.stdout.flush()
        return code
    except ArgumentError as error:
        print(f"pynq-cnn: {error}", file=sys.stderr)
        return 2
    except PynqCnnError as error:
        print(f"pynq-cnn: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read the output has left; let the interpreter's own last flush go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
