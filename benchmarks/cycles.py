"""Estimated cycles an image of the networks that this project measures itself by, from their instructions alone.

Nothing runs: the figures are `Program.cycles` over the batch. Besides the shipped networks these are two topologies of
others, with random weights, as costs do not depend on them: FINN's CNV (Umuroglu et al. 2017, "FINN", arXiv
1612.07119, table II) and the ResNet-8 of MLPerf Tiny (Banbury et al. 2021, arXiv 2106.07597); and nin on larger images.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pynq_cnn.compiler import Program, compile_network
from pynq_cnn.compiler.estimate import PHASES, instruction_costs
from pynq_cnn.model import (
    AvgPool2d,
    BinaryConv2d,
    Conv2d,
    Dense,
    InputSpec,
    MaxPool2d,
    Network,
    OutputSpec,
    Requantisation,
    Skip,
    Threshold,
)
from pynq_cnn.table import text_table
from pynq_cnn.zoo import load_model

CLASSES = tuple(map(str, range(10)))
CIFAR = InputSpec(32, 32, 3, "RGB", (0.5,) * 3, (0.25,) * 3)


def _network(name: str, *layers: object) -> Network:
    return Network(name, CIFAR, layers, OutputSpec(np.ones(10, np.float32), np.zeros(10, np.float32)), CLASSES)


def _byte_constants(rng: np.random.Generator, outputs: int, kernel: int, inputs: int) -> dict:
    """Random weights, biases and multipliers that spread the accumulators over the bytes."""
    weight = rng.integers(-127, 128, (outputs, kernel, kernel, inputs)).astype(np.int8)
    multiplier = np.full(outputs, int(2**26 / (60 * 73 * np.sqrt(weight[0].size))), np.uint16)
    requantisation = Requantisation(multiplier, np.full(outputs, 20, np.uint8))
    return {
        "weight": weight,
        "bias": rng.integers(-5000, 5000, outputs).astype(np.int32),
        "requantisation": requantisation,
    }


def cnv(seed: int = 0) -> Network:
    """FINN's CNV: six convolutions without padding, of bits but for the first layer's bytes, and three fully
    connected layers.

    Examples
    --------
    >>> print(repr(cnv()))
    <Network 'cnv': 32 x 32 RGB to 10 classes, 11 layers, 1,542,848 weights>
    """
    rng = np.random.default_rng(seed)

    def threshold(outputs: int, spread: int) -> Threshold:
        return Threshold(rng.integers(-spread, spread, outputs).astype(np.int32))

    def bits(name: str, inputs: int, outputs: int, kernel: int = 3, last: bool = False) -> BinaryConv2d:
        signs = rng.integers(-1, 1, (outputs, kernel, kernel, inputs))
        spread = int(np.sqrt(kernel * kernel * inputs))
        return BinaryConv2d.from_signs(name, signs, threshold=None if last else threshold(outputs, spread))

    weight = rng.choice(np.array([-1, 1], np.int8), (64, 3, 3, 3))
    first = Conv2d("conv1", weight, np.zeros(64, np.int32), threshold=threshold(64, 500))
    return _network(
        "cnv",
        first, bits("conv2", 64, 64), MaxPool2d("pool1", 2, 2),
        bits("conv3", 64, 128), bits("conv4", 128, 128), MaxPool2d("pool2", 2, 2),
        bits("conv5", 128, 256), bits("conv6", 256, 256),
        bits("fc1", 256, 512, 1), bits("fc2", 512, 512, 1), bits("fc3", 512, 10, 1, last=True),
    )  # fmt: skip


def resnet8(seed: int = 0) -> Network:
    """The ResNet-8 of MLPerf Tiny: three blocks of 16, 32 and 64 channels with residual addition, global average.

    Examples
    --------
    >>> print(repr(resnet8()))
    <Network 'resnet8': 32 x 32 RGB to 10 classes, 11 layers, 77,360 weights>
    """
    rng = np.random.default_rng(seed)

    def conv(name: str, outputs: int, inputs: int, kernel: int, stride: int, *given: str) -> Conv2d:
        padding = (0, 0, 0, 0) if kernel == 1 else (1, 1, 1, 1) if stride == 1 else (0, 0, 1, 1)
        skip = Skip(np.full(outputs, 300, np.uint16)) if len(given) > 1 else None
        constants = _byte_constants(rng, outputs, kernel, inputs)
        return Conv2d(name, stride=(stride, stride), padding=padding, skip=skip, inputs=given, **constants)

    mean = Requantisation(np.array([1 << 10], np.uint16), np.array([16], np.uint8))
    return _network(
        "resnet8",
        conv("conv", 16, 3, 3, 1, "input"),
        conv("1a", 16, 16, 3, 1, "conv"), conv("1b", 16, 16, 3, 1, "1a", "conv"),
        conv("2s", 32, 16, 1, 2, "1b"), conv("2a", 32, 16, 3, 2, "1b"), conv("2b", 32, 32, 3, 1, "2a", "2s"),
        conv("3s", 64, 32, 1, 2, "2b"), conv("3a", 64, 32, 3, 2, "2b"), conv("3b", 64, 64, 3, 1, "3a", "3s"),
        AvgPool2d("average", 8, 1, mean),
        Dense("fc", rng.integers(-127, 128, (10, 64)).astype(np.int8), np.zeros(10, np.int32)),
    )  # fmt: skip


def nin(side: int) -> Network:
    """The shipped nin on images of another size: its last average takes what is left of them."""
    network = load_model("nin")
    layers = list(network.layers)
    spec = replace(network.input, height=side, width=side)
    shape = spec.shape
    for layer in layers[:-1]:
        shape = layer.output_shape(shape)
    layers[-1] = replace(layers[-1], size=shape[:2])
    return Network("nin", spec, tuple(layers), network.output, network.classes)


# Network, batch, and the most cycles an image that it may take.
CASES: tuple[tuple[str, Callable[[], Network], int, int], ...] = (
    ("lenet", lambda: load_model("lenet"), 64, 2600),
    ("convnet", lambda: load_model("convnet"), 64, 5500),
    ("lenet5", lambda: load_model("lenet5"), 64, 18000),
    ("deepnet", lambda: load_model("deepnet"), 16, 60000),
    ("cnv", cnv, 64, 32000),
    ("vgg_bnn_half", lambda: load_model("vgg_bnn_half"), 16, 62000),
    ("vgg_bnn", lambda: load_model("vgg_bnn"), 16, 190000),
    ("nin at 112", lambda: nin(112), 64, 700000),
    ("nin at 224", lambda: nin(224), 16, 3700000),
    ("resnet8", resnet8, 16, 65000),
)


def phases(program: Program) -> dict[str, float]:
    """The share of each phase in the cycles of a full batch."""
    rows = [cost.cycles for cost in instruction_costs(program.decode(), program.capacity)]
    return {name: sum(cycles) / program.cycles for name, cycles in zip(PHASES, zip(*rows))}


def print_phases(as_json: bool) -> None:
    """The shares of all networks, as a table in Markdown or as JSON."""
    found = {name: (batch, phases(compile_network(make(), capacity=batch))) for name, make, batch, _ in CASES}
    if as_json:
        print(json.dumps({name: {"batch": batch, **shares} for name, (batch, shares) in found.items()}, indent=2))
        return
    titles = ("network", "batch", *(name.replace("_", " ") for name in PHASES), "load and store together")
    print("| " + " | ".join(titles) + " |\n|" + "---|" * len(titles))
    for name, (batch, shares) in found.items():
        moves = sum(shares[phase] for phase in ("load_weights", "load_input", "store"))
        cells = (name, str(batch), *(f"{100 * share:.1f} %" for share in (*shares.values(), moves)))
        print("| " + " | ".join(cells) + " |")


def main() -> None:
    """Print a table, or JSON with `--json`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--phases", action="store_true", help="print the share of each phase instead")
    args = parser.parse_args()
    if args.phases:
        print_phases(args.json)
        return
    found = {
        name: (batch, compile_network(make(), capacity=batch).cycles / batch, most) for name, make, batch, most in CASES
    }
    if args.json:
        print(
            json.dumps(
                {name: {"batch": b, "cycles": cycles, "most": most} for name, (b, cycles, most) in found.items()},
                indent=2,
            )
        )
        return
    rows = [("network", "batch", "cycles an image", "at most", "images/s at 100 MHz")]
    rows += [
        (name, str(b), f"{cycles:,.0f}", f"{most:,}", f"{1e8 / cycles:,.0f}")
        for name, (b, cycles, most) in found.items()
    ]
    print(text_table(rows))


if __name__ == "__main__":
    main()
