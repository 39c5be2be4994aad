"""Poolings: layers without weights, over a window of each channel."""

from __future__ import annotations

from pynq_cnn.model.description import Description
from pynq_cnn.model.layers.window import Padding, Pair, window_shape
from pynq_cnn.model.tensor import Shape, TensorType


class Weightless(Description):
    """A layer that has no weights and multiplies nothing."""

    name: str
    inputs: tuple[str, ...]
    weight_count = 0
    parameter_count = 0

    def macs(self, *given: TensorType) -> int:
        """0: it multiplies nothing."""
        return 0


class Pooling(Weightless):
    """A window over each channel."""

    size: Pair
    stride: Pair
    padding: Padding

    def output_shape(self, shape: Shape) -> Shape:
        """Output (height, width, channels); `NetworkError` if the window is larger than the padded input."""
        return (*window_shape(self.name, shape, self.size, self.stride, self.padding), shape[2])
