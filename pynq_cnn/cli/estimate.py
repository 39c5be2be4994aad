"""`estimate`: estimate the engine's cycles for each layer, from the loops that the kernel really runs."""

from __future__ import annotations

import argparse

import numpy as np

from pynq_cnn.backends.kernel import KernelBackend
from pynq_cnn.backends.kernel.native import PHASES
from pynq_cnn.cli.common import add_batch, add_json, add_model, print_json, print_table, working
from pynq_cnn.errors import ArgumentError
from pynq_cnn.zoo import load_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "--clock-mhz", type=float, default=100.0, metavar="F", help="clock of the programmable logic (100)"
    )
    add_batch(parser)
    add_model(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> None:
    """Run one full batch on the compiled kernel and print its counters (docs/contract/instruction-set.md, section
    7).
    """
    if not 0 < args.clock_mhz < float("inf"):
        raise ArgumentError(f"--clock-mhz must be a positive number, not {args.clock_mhz}")
    network = load_model(args.model)
    with KernelBackend(network, args.batch) as backend:
        with working(f"running {backend.batch} images on the kernel"):
            backend.run(np.zeros((backend.batch, *network.input_shape), np.uint8))
        cycles, names = backend.last_cycles.astype(np.int64), backend.program.instruction_names
    per_image = float(cycles.sum()) / args.batch
    images_per_second = args.clock_mhz * 1e6 / per_image
    if args.json:
        print_json(
            {
                "estimate": True,
                "model": network.name,
                "batch": args.batch,
                "clock_mhz": args.clock_mhz,
                "layers": [
                    {"name": name, "cycles": dict(zip(PHASES, row.tolist()))} for name, row in zip(names, cycles)
                ],
                "cycles_per_image": per_image,
                "images_per_second": images_per_second,
            }
        )
        return
    print(
        f"ESTIMATE for {network.name}, a batch of {args.batch}: cycles by layer and phase, counted in the kernel's"
        " loops,"
    )
    print("not measured on a board\n")
    rows = [(name, *(f"{n:,}" for n in row), f"{row.sum() / args.batch:,.1f}") for name, row in zip(names, cycles)]
    total = cycles.sum(0)
    rows.append(("all", *(f"{n:,}" for n in total), f"{per_image:,.1f}"))
    print_table(("layer", *PHASES, "per image"), rows)
    print(f"\nabout {images_per_second:,.0f} images/s at {args.clock_mhz:g} MHz, without the host's share (estimate)")
