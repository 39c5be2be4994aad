"""Layers with weights: how many they have, and convolutions among them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pynq_cnn.errors import NetworkError
from pynq_cnn.model.description import Description, short
from pynq_cnn.model.frequency import FrequencyWeight
from pynq_cnn.model.layers.finish import Requantisation, Threshold
from pynq_cnn.model.layers.skip import Skip
from pynq_cnn.model.layers.window import Padding, Pair, extent, window_shape
from pynq_cnn.model.shared import SharedWeight
from pynq_cnn.model.tensor import Shape, TensorType


class Weighted(Description):
    """A layer with weights [out, ...]."""

    name: str
    weight: np.ndarray
    inputs: tuple[str, ...]

    @property
    def outputs(self) -> int:
        """Output channels."""
        return len(self.weight)

    @property
    def weight_count(self) -> int:
        """How many weights it has, biases and other constants aside."""
        return int(self.weight.size)

    @property
    def parameter_count(self) -> int:
        """Its weights, and a bias for each output channel."""
        return self.weight_count + self.outputs


class ByteWeighted(Weighted):
    """A layer whose weights are bytes: they may be kept as a stream, and a skip may be added to their sums."""

    bias: np.ndarray
    requantisation: Requantisation | None
    threshold: Threshold | None
    shared: SharedWeight | FrequencyWeight | None
    skip: Skip | None
    groups: int = 1


class Convolution(Weighted):
    """A layer whose weights [out, kernel_h, kernel_w, ...] slide over an image."""

    stride: Pair
    padding: Padding
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def kernel(self) -> Pair:
        """(kernel_h, kernel_w)."""
        return int(self.weight.shape[1]), int(self.weight.shape[2])

    @property
    def extent(self) -> Pair:
        """Rows and columns that the kernel covers, its dilation included."""
        return extent(self.kernel, self.dilation)

    @property
    def in_channels(self) -> int:
        """Input channels."""
        return int(self.weight.shape[3]) * self.groups

    def output_shape(self, shape: Shape) -> Shape:
        """Output (height, width, channels) for an input of `shape`; `NetworkError` if it does not fit this layer."""
        if shape[2] != self.in_channels:
            raise NetworkError(f"{self.name} takes {self.in_channels} channels, but its input {shape} has {shape[2]}")
        return (*window_shape(self.name, shape, self.extent, self.stride, self.padding), self.outputs)

    def macs(self, *given: TensorType) -> int:
        """Multiply-accumulates for one image; of bits, for a layer of bits."""
        height, width, outputs = self.output_shape(given[0].shape)
        return height * width * outputs * self.kernel[0] * self.kernel[1] * self.in_channels // self.groups


def check_shared(layer: Any) -> None:
    """See that a layer's shared weights are its weights; the layer then has that array alone, no equal one beside
    it.
    """
    name, shared, weight = layer.name, layer.shared, layer.weight
    if shared is None:
        return
    if not isinstance(shared, (SharedWeight, FrequencyWeight)):
        raise NetworkError(f"{name}.shared must be a SharedWeight, a FrequencyWeight or None, not {short(shared)}")
    if shared.shape != weight.shape or not (shared.dense() is weight or np.array_equal(shared.dense(), weight)):
        raise NetworkError(f"{name}.shared does not stand for the weights of the layer; make both from the same array")
    object.__setattr__(layer, "weight", shared.dense())
