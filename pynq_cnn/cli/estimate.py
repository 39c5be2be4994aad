"""`estimate`: estimate the engine's cycles for each layer, and images/s, from the instructions alone."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pynq_cnn.cli.common import add_batch, add_json, add_model, print_json, print_table, working
from pynq_cnn.cli.timeline import SHARED, draw
from pynq_cnn.compiler import Program, compile_network
from pynq_cnn.compiler.estimate import PHASES, Cost, instruction_costs, layer_costs
from pynq_cnn.compiler.host import Throughput, host_seconds
from pynq_cnn.errors import ArgumentError
from pynq_cnn.zoo import load_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "--clock-mhz", type=float, default=100.0, metavar="F", help="clock of the programmable logic (100)"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw a timeline of the layers; needs matplotlib")
    add_batch(parser)
    add_model(parser)
    add_json(parser)


def throughput(program: Program, clock_mhz: float) -> Throughput:
    """Of batches that are full."""
    copied = program.capacity * 8 * (program.input_stride + program.output_stride)
    return Throughput(program.capacity, program.cycles / (clock_mhz * 1e6), host_seconds(copied))


def _row(cost: Cost) -> dict[str, Any]:
    return {
        "name": cost.layer or SHARED,
        "cycles": dict(zip(PHASES, cost.cycles)),
        "traffic_bytes": cost.traffic,
        "bound": cost.bound,
    }


def run(args: argparse.Namespace) -> None:
    """Print the cycles that the kernel's loops will take, counted from the instructions (docs/contract/
    instruction-set.md, section 8).
    """
    if not 0 < args.clock_mhz < float("inf"):
        raise ArgumentError(f"--clock-mhz must be a positive number, not {args.clock_mhz}")
    network = load_model(args.model)
    with working(f"compiling {network.name}"):
        program, single = (compile_network(network, capacity=capacity) for capacity in (args.batch, 1))
    each = instruction_costs(program.decode(), args.batch)
    layers = layer_costs(each)
    batch, one = throughput(program, args.clock_mhz), throughput(single, args.clock_mhz)
    if args.plot is not None:
        title = f"{network.name}, a batch of {args.batch}: estimate, {program.cycles / args.batch:,.0f} cycles an image"
        draw(args.plot, each, title)
    if args.json:
        print_json(
            {
                "estimate": True,
                "model": network.name,
                "batch": args.batch,
                "clock_mhz": args.clock_mhz,
                "layers": [_row(cost) for cost in layers],
                "cycles_per_image": program.cycles / args.batch,
                "cycles_of_one_image": single.cycles,
                "engine_images_per_second": args.batch / batch.engine,
                "host_seconds": batch.host,
                "images_per_second": batch.steady,
                "images_per_second_one_by_one": one.alone,
            }
        )
        return
    print(
        f"ESTIMATE for {network.name}, a batch of {args.batch}: cycles by layer and phase, counted from the"
        " instructions,\nnot measured on a board\n"
    )
    total = Cost("all", tuple(map(sum, zip(*(cost.cycles for cost in layers)))), sum(cost.traffic for cost in layers))
    rows = [
        (cost.layer or SHARED, *(f"{n:,}" for n in cost.cycles), f"{cost.total / args.batch:,.1f}",
         f"{cost.traffic:,}", cost.bound)
        for cost in (*layers, total)
    ]  # fmt: skip
    print_table(("layer", *PHASES, "per image", "bytes moved", "bound by"), rows)
    at = f"at {args.clock_mhz:g} MHz"
    print(
        f"\nengine: {1e3 * batch.engine:,.3g} ms a batch, {args.batch / batch.engine:,.0f} images/s {at}"
        f"\nhost:   {1e3 * batch.host:,.3g} ms a batch to write registers, keep caches and copy, by rules of thumb"
        f"\nabout {batch.steady:,.0f} images/s batch after batch, the host at work while the engine is;"
        f" {one.alone:,.0f} images/s one by one (estimate)"
    )
