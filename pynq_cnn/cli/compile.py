"""`compile`: compile a network for the engine, and show the Program."""

from __future__ import annotations

import argparse

from pynq_cnn.cli.common import add_batch, add_json, add_model, print_json, working
from pynq_cnn.compiler import compile_network
from pynq_cnn.compiler.listing import listing
from pynq_cnn.zoo import load_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--listing", action="store_true", help="print every instruction")
    add_batch(parser)
    add_model(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> None:
    """Print what the Program takes, or all its instructions."""
    network = load_model(args.model)
    with working(f"compiling {network.name}"):
        program = compile_network(network, capacity=args.batch)
    if args.json:
        sizes = {
            "sections": program.sections,
            "instructions": program.instructions,
            "constant_words": len(program.constants),
            "memory_words": program.memory_words,
            "cycles": program.cycles,
        }
        shown = {"listing": listing(program).splitlines()} if args.listing else {}
        print_json({"model": network.name, "batch": args.batch, **sizes, **shown})
        return
    if args.listing:
        print(listing(program))
        return
    print(
        f"{network.name} for batches of up to {args.batch} images: {program.instructions} instructions in"
        f" {program.sections} sections; {program.memory_words * 8 / 2**20:,.2f} MiB of memory,"
        f" {len(program.constants) * 8 / 2**20:,.2f} MiB of it constants; about {program.cycles:,} cycles a full batch"
        " (estimate)"
    )
