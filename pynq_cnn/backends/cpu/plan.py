"""A network as words of 32 bits, which `cpu_src/plan.hpp` reads: the input, then each layer and the tensor it gives."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np

from pynq_cnn.model import BIT, INT32, UINT8, Layer, Network, Requantisation, Skip, TensorType, Threshold
from pynq_cnn.model.layers import INPUT
from pynq_cnn.model.layers.window import Padding, Pair

MAGIC = 0x43504331
TYPES = {UINT8: 0, BIT: 1, INT32: 2}


class Words:
    """Words that are written one after the other."""

    def __init__(self) -> None:
        self._parts: list[np.ndarray] = []

    def numbers(self, *values: int) -> None:
        """Integers of 32 bits."""
        self._parts.append(np.array(values, np.int32))

    def array(self, values: np.ndarray, count: int | None = None) -> None:
        """An array, a word for each value; of one value and `count` more, that value so often."""
        flat = values.astype(np.int32).ravel()
        self._parts.append(flat if count is None or len(flat) == count else np.repeat(flat, count))

    def octets(self, values: np.ndarray) -> None:
        """The bytes of an array as they lie in memory, and zeros up to a whole word."""
        octets = np.frombuffer(np.ascontiguousarray(values).data, np.uint8)
        self._parts.append(np.pad(octets, (0, -len(octets) % 4)).view(np.int32))

    def tensor(self, tensor: TensorType) -> None:
        """Data type, shape and zero point."""
        self.numbers(TYPES[tensor.datatype], *tensor.shape, len(tensor.zero_point), *tensor.zero_point)

    def window(self, size: Pair, stride: Pair, padding: Padding) -> None:
        """How a window slides."""
        self.numbers(*size, *stride, *padding)

    def skip(self, skip: Skip | None, outputs: int) -> None:
        """The residual, as words."""
        self.numbers(int(skip is not None))
        if skip is not None:
            self.array(skip.multiplier, outputs)

    def finish(self, requantisation: Requantisation | None, threshold: Threshold | None, outputs: int) -> None:
        """Requantisation or threshold, as words."""
        if requantisation is not None:
            self.numbers(TYPES[UINT8], requantisation.zero_point, requantisation.low)
            self.array(requantisation.multiplier, outputs)
            self.array(requantisation.shift, outputs)
        elif threshold is not None:
            self.numbers(TYPES[BIT])
            self.array(threshold.value, outputs)
        else:
            self.numbers(TYPES[INT32])

    def whole(self) -> np.ndarray:
        """All of them, int32."""
        return np.concatenate(self._parts)


@singledispatch
def describe(layer: Layer, words: Words, *given: TensorType) -> None:
    """Write what a layer does with tensors of these types, behind its kind and its tensors."""
    raise TypeError(f"the cpu backend has no rule for {type(layer).__name__}")


KINDS: dict[Any, int] = {}  # what `cpu_src/plan.hpp` calls a kind; each registers its own


def plan_of(network: Network) -> np.ndarray:
    """The words of a network.

    Examples
    --------
    >>> from pynq_cnn.backends import cpu
    >>> from pynq_cnn.zoo import load_model
    >>> plan_of(load_model("lenet")).dtype
    dtype('int32')
    """
    words, places = Words(), {INPUT: 0}
    words.numbers(MAGIC, len(network.nodes))
    words.tensor(network.input.tensor)
    for node in network.nodes:
        describe.dispatch(type(node.layer))  # an unknown kind fails here, with its name
        kind = KINDS.get(type(node.layer), 0)
        words.numbers(kind, len(node.inputs), *(places[name] for name in node.inputs))
        words.tensor(node.gives)
        describe(node.layer, words, *node.given)
        places[node.name] = len(places)
    return words.whole()
