"""Helpers of the tests of the driver and of the virtual board."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np

from pynq_cnn.model import Conv2d, Dense, Golden, InputSpec, MaxPool2d, Network, OutputSpec, Requantisation
from pynq_cnn.zoo import load_model

ROOT = Path(__file__).parent.parent
# pynq reads the headers of an .xclbin as this machine lays out a structure; all of pynq's machines, ARM's 32 bits too,
# align 64-bit numbers to 8 bytes, and only i386 to 4: pynq's own device class cannot run there.
ALIGNED = (
    ctypes.sizeof(type("Pair", (ctypes.Structure,), {"_fields_": [("a", ctypes.c_uint8), ("b", ctypes.c_uint64)]}))
    == 16
)
NOT_ALIGNED = "pynq's own device class cannot read an .xclbin on i386, which aligns 64-bit numbers to 4 bytes"
NO_PYNQ = "pynq is not for Python 3.13 and newer" if sys.version_info >= (3, 13) else "pynq is not installed"


def small_network(seed: int = 0, classes: int = 5) -> Network:
    """A convolution, a pooling and a dense layer on 8 x 8 images."""
    rng = np.random.default_rng(seed)
    requantisation = Requantisation(np.full(6, 40000, np.uint16), np.full(6, 21, np.uint8))
    layers = (
        Conv2d(
            "conv",
            rng.integers(-127, 128, (6, 3, 3, 1), np.int8),
            np.zeros(6, np.int32),
            (1, 1),
            (1, 1),
            requantisation,
        ),
        MaxPool2d("pool", 2, 2),
        Dense("fc", rng.integers(-127, 128, (classes, 96), np.int8), rng.integers(-999, 999, classes, np.int32)),
    )
    output = OutputSpec(np.ones(classes, np.float32), np.zeros(classes, np.float32))
    return Network("small", InputSpec(8, 8, 1, "L", (0.0,), (1.0,)), layers, output, tuple(map(str, range(classes))))


def network_of_kind(kind: str) -> Network:
    """The shipped network with another kind of output: of all its logits, or by one sigmoid of the first."""
    lenet = load_model("lenet")
    outputs = 1 if kind == "sigmoid" else 10
    last = replace(lenet.layers[-1], weight=lenet.layers[-1].weight[:outputs], bias=lenet.layers[-1].bias[:outputs])
    output = OutputSpec(lenet.output.scale[:outputs], lenet.output.offset[:outputs], kind)
    classes = ("other", "zero") if kind == "sigmoid" else lenet.classes
    golden = Golden(lenet.golden.images, np.ascontiguousarray(lenet.golden.accumulators[:, :outputs]))
    return replace(lenet, layers=(*lenet.layers[:-1], last), output=output, classes=classes, golden=golden)


def small_images(n: int, seed: int = 0) -> np.ndarray:
    """uint8 [n, 8, 8, 1]."""
    return np.random.default_rng(seed).integers(0, 256, (n, 8, 8, 1), np.uint8)


def script(path: str) -> ModuleType:
    """A script of the repository, as a module of its own."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
