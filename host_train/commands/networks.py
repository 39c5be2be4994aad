"""`networks`: list the networks that can be trained."""

from __future__ import annotations

import argparse


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("networks", help="list the networks that can be trained", description=__doc__)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from host_train.networks import RECIPES

    for recipe in RECIPES.values():
        parameters = sum(p.numel() for p in recipe.build().parameters())
        qat = f" and {recipe.qat.epochs} quantisation-aware" if recipe.qat is not None else ""
        print(f"{recipe.name:12} {recipe.about}; {parameters:,} parameters, {recipe.schedule.epochs} epochs{qat}")
