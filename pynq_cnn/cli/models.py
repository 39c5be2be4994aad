"""`models`: list the shipped networks."""

from __future__ import annotations

import argparse

from pynq_cnn.cli.common import add_json, print_json
from pynq_cnn.zoo import models


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    add_json(parser)


def run(args: argparse.Namespace) -> None:
    """Print the table."""
    if args.json:
        print_json(
            [
                {"name": m.name, "dataset": m.dataset, "accuracy": m.accuracy, "layers": m.layers, "bytes": m.bytes, "recipe": m.recipe}
                for m in models().values()
            ]
        )
    else:
        print(models())
