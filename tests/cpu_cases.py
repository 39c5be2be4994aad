"""Random networks and images with the reference's results: compared with the cpu backend here, or written to a file for
`cpu_src/check`, which compares them on a processor that this machine emulates, or under sanitizers.

    python tests/cpu_cases.py --graphs 20000 --seed 1            every instruction set of this machine
    python tests/cpu_cases.py --graphs 300 --shipped --write FILE
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from pathlib import Path
from time import perf_counter
from typing import BinaryIO

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from strategies import binary_networks, graphs, networks, random_images  # noqa: E402

import pynq_cnn  # noqa: E402
from pynq_cnn.backends.cpu.native import SET, load_library  # noqa: E402
from pynq_cnn.backends.cpu.plan import plan_of  # noqa: E402
from pynq_cnn.backends.reference import ReferenceBackend  # noqa: E402
from pynq_cnn.model import Network  # noqa: E402
from pynq_cnn.zoo import load_model  # noqa: E402

SHIPPED_IMAGES = 1  # of each shipped network: emulated processors are slow


def write(file: BinaryIO, network: Network, images: np.ndarray, results: np.ndarray) -> None:
    """One case, as `cpu_src/check/check.cpp` reads it."""
    plan = plan_of(network)
    head = np.array([len(plan), len(images), images[0].size, results.shape[1]], "<i4")
    for part in (head, plan.astype("<i4"), images, results.astype("<i4")):
        file.write(part.tobytes())


def differing(network: Network, images: np.ndarray, results: np.ndarray, threads: int) -> list[str]:
    """The instruction sets of this machine that give something else."""
    library, wrong = load_library(), []
    plan = plan_of(network)
    for name in library.sets:
        out = np.empty_like(results)
        library.open(plan, name, threads, 5, eager=True).run(images, out)
        if not np.array_equal(out, results):
            wrong.append(name)
    return wrong


def main() -> int:
    """0 if all agree."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--graphs", type=int, default=300, metavar="N", help="random networks (300)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of them (0)")
    parser.add_argument(
        "--shipped", nargs="*", metavar="NETWORK", help="the golden vectors of shipped networks too (of all of them)"
    )
    parser.add_argument("--write", metavar="FILE", help="write the cases, and compare nothing")
    args = parser.parse_args()
    assert SET not in os.environ or args.write, f"{SET} is set; every instruction set is compared here"
    file = io.BytesIO() if args.write else None
    start, count, wrong = perf_counter(), 0, 0

    def take(network: Network, images: np.ndarray, results: np.ndarray, threads: int) -> None:
        nonlocal count, wrong
        count += 1
        if file is not None:
            write(file, network, images, results)
            return
        for name in differing(network, images, results, threads):
            wrong += 1
            print(f"differs on {name} with {threads} threads:\n{network}\n{network.layers!r}", flush=True)
        if count % 1000 == 0:
            print(f"{count:,} networks, {perf_counter() - start:,.0f} s", flush=True)

    if args.shipped is not None:
        for name in args.shipped or pynq_cnn.models():
            network = load_model(name)
            golden = network.golden
            assert golden is not None
            take(network, golden.images[:SHIPPED_IMAGES], golden.accumulators[:SHIPPED_IMAGES], 1)

    @seed(args.seed)
    @settings(
        max_examples=args.graphs,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(graphs() | networks() | binary_networks(), st.integers(1, 7), st.integers(0, 2**16), st.integers(1, 9))
    def one(network: Network, n: int, images_seed: int, threads: int) -> None:
        images = random_images(network, n, images_seed)
        take(network, images, ReferenceBackend(network).run(images), threads)

    one()
    if file is not None:
        Path(args.write).write_bytes(file.getvalue())
        print(f"{count:,} cases in {args.write}")
    else:
        print(f"{count:,} networks, {wrong} differences, on {', '.join(load_library().sets)}")
    return int(wrong > 0)


if __name__ == "__main__":
    raise SystemExit(main())
