"""Poolings: layers without weights, over a window of each channel."""

from __future__ import annotations

from pynq_cnn.model.description import Description
from pynq_cnn.model.layers.base import Shape


class Pooling(Description):
    """A layer that has no weights and multiplies nothing."""

    weight_count = 0
    parameter_count = 0

    def macs(self, shape: Shape) -> int:
        """0: pooling multiplies nothing."""
        return 0
