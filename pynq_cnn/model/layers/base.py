"""Names, inputs and data types, as every kind of layer has them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pynq_cnn.errors import NetworkError
from pynq_cnn.model.datatype import DataType
from pynq_cnn.model.description import short
from pynq_cnn.model.tensor import TensorType

MAX_DIMENSION = 65535  # sizes are 16-bit fields in the instruction set
INPUT = "input"  # what layers call the network's own input


def check_name(name: Any) -> None:
    """See that a layer's name can be part of a file's; `NetworkError` if not."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) or name.startswith("."):
        raise NetworkError(
            f"the layer name {short(name)} must be 1 to 64 letters, digits, '_', '-' or '.', not starting with '.'"
        )
    if name == INPUT:
        raise NetworkError(f"no layer may be called {INPUT!r}: so layers call the network's own input")


def check_layer(layer: Any) -> None:
    """Check a layer's name, and normalise the names of what it takes to a tuple."""
    check_name(layer.name)
    inputs = layer.inputs
    if isinstance(inputs, str) or not isinstance(inputs, Iterable):
        raise NetworkError(f"{layer.name}.inputs must be a tuple of layer names, not {short(inputs)}")
    inputs = tuple(inputs)
    if not all(isinstance(name, str) for name in inputs):
        raise NetworkError(f"{layer.name}.inputs must be names of layers, not {short(inputs)}")
    object.__setattr__(layer, "inputs", inputs)


def check_given(name: str, given: tuple[TensorType, ...], count: int, *allowed: DataType) -> None:
    """See that a layer takes what it is given: so many tensors, of one of these types; `NetworkError` if not."""
    if len(given) != count:
        raise NetworkError(f"{name} takes {count} input(s), not {len(given)}; name them in its inputs", name)
    for tensor in given:
        if tensor.datatype not in allowed:
            raise NetworkError(
                f"{name} takes {' or '.join(t.name for t in allowed)}, but the layer before it gives"
                f" {tensor.datatype.name}",
                name,
            )
