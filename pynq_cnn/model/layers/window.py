"""Windows that slide over an image: where they fit."""

from __future__ import annotations

from typing import Any

from pynq_cnn.errors import NetworkError
from pynq_cnn.model.description import integers
from pynq_cnn.model.layers.base import Shape


def window_shape(
    name: str, shape: Shape, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int] = (0, 0)
) -> tuple[int, int]:
    """(height, width) of what a sliding window gives (docs/contract/numerics.md, section 2); `NetworkError` if it does
    not fit once.
    """
    height, width = ((side + 2 * pad - k) // step + 1 for side, pad, k, step in zip(shape, padding, kernel, stride))
    if min(height, width) < 1:
        raise NetworkError(f"{name}: the window {kernel} is larger than its padded input {shape}")
    return height, width


def normalise_window(layer: Any, kernel: tuple[int, int]) -> None:
    """Normalise and check the stride and padding fields of a sliding window."""
    object.__setattr__(layer, "stride", integers(f"{layer.name}.stride", layer.stride, 2, 1, 255))
    object.__setattr__(layer, "padding", integers(f"{layer.name}.padding", layer.padding, 2, 0, 254))
    if any(pad >= side for pad, side in zip(layer.padding, kernel)):
        raise NetworkError(f"{layer.name}.padding {layer.padding} must be smaller than the kernel {kernel}")
