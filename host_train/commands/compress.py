"""`compress`: Deep Compression of a trained run: prune, fine-tune, share weights, fine-tune them, quantise,
Huffman-code into a package.

It is `prune`, `share` and `huffman`, one after the other. Prints and writes the table of what each step saves.
"""

from __future__ import annotations

import argparse

from host_train.commands import huffman
from host_train.commands.compression import add_places, add_pruning, add_sharing, add_training, make_compression
from host_train.commands.options import add_min_agreement


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "compress", help="prune, share and code the weights of a run, and write its package", description=__doc__
    )
    add_places(parser)
    add_pruning(parser)
    target = (
        "scale what the recipe keeps, so that the package's files are RATIO times smaller than float32 weights and"
        " biases"
    )
    parser.add_argument("--target", type=float, metavar="RATIO", help=target)
    add_sharing(parser)
    add_min_agreement(parser)
    add_training(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from host_train.compression.pipeline import PACKAGE
    from host_train.tracing.fidelity import check_min_agreement
    from pynq_cnn.model.package.folder import check_replaceable

    check_min_agreement(args.min_agreement)
    compression = make_compression(args)
    check_replaceable(compression.folder / PACKAGE)  # before hours of training
    compression.prune(args.resume)
    huffman.write(compression, compression.share(args.resume), compression.command, args.min_agreement)
