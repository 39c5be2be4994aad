"""`prune`: prune a trained run in rounds, with fine-tuning; `share` or `compress --resume` goes on from there."""

from __future__ import annotations

import argparse

from host_train.commands.compression import add_places, add_pruning, add_training, make_compression


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("prune", help="prune a run and fine-tune it", description=__doc__)
    add_places(parser)
    add_pruning(parser)
    add_training(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    make_compression(args).prune(args.resume)
