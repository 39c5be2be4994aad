"""`models`: list the shipped networks."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from pynq_cnn.cli.common import add_json, print_json
from pynq_cnn.zoo import models


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    add_json(parser)


def run(args: argparse.Namespace) -> None:
    """Print the table."""
    if args.json:
        print_json(
            [{name: value for name, value in asdict(info).items() if name != "path"} for info in models().values()]
        )
    else:
        print(models())
