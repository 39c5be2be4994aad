"""`share`: share the weights of a pruned run and fine-tune the shared values; `huffman` or `compress --resume` goes on
from there.
"""

from __future__ import annotations

import argparse

from host_train.commands.compression import add_places, add_sharing, add_training, make_compression


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "share", help="share the weights of a pruned run and fine-tune them", description=__doc__
    )
    add_places(parser)
    add_sharing(parser)
    add_training(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    make_compression(args, after="prune").share(args.resume)
