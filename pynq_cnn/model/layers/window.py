"""Windows that slide over an image: where they fit (docs/contract/numerics.md, section 2)."""

from __future__ import annotations

from typing import Any

from pynq_cnn.checks import is_integer
from pynq_cnn.errors import NetworkError
from pynq_cnn.model.description import integers
from pynq_cnn.model.tensor import Shape

Pair = tuple[int, int]
Padding = tuple[int, int, int, int]  # top, left, bottom, right


def extent(kernel: Pair, dilation: Pair) -> Pair:
    """Rows and columns that a dilated kernel covers.

    Examples
    --------
    >>> extent((3, 1), (2, 5))
    (5, 1)
    """
    return (kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1


def window_shape(name: str, shape: Shape, size: Pair, stride: Pair, padding: Padding = (0, 0, 0, 0)) -> Pair:
    """(height, width) of what a sliding window of `size` gives; `NetworkError` if it does not fit once.

    Examples
    --------
    >>> window_shape("pool", (7, 7, 8), (3, 3), (2, 2), (0, 0, 1, 1))
    (3, 3)
    """
    top, left, bottom, right = padding
    height = (shape[0] + top + bottom - size[0]) // stride[0] + 1
    width = (shape[1] + left + right - size[1]) // stride[1] + 1
    if min(height, width) < 1:
        raise NetworkError(f"{name}: the window {size} is larger than its padded input {shape}", name)
    return height, width


def normalise_pair(layer: Any, field: str) -> None:
    """Make an integer from 1 to 255, or two of them, a pair (vertical, horizontal)."""
    value = getattr(layer, field)
    pair = (value, value) if is_integer(value, 1, 255) else value
    object.__setattr__(layer, field, integers(f"{layer.name}.{field}", pair, 2, 1, 255))


def normalise_padding(layer: Any, size: Pair) -> None:
    """Make (vertical, horizontal) padding one of four sides; each side is smaller than the window of `size`."""
    value = layer.padding
    four = (*value, *value) if isinstance(value, (tuple, list)) and len(value) == 2 else value
    padding = integers(f"{layer.name}.padding", four, 4, 0, 65534)
    object.__setattr__(layer, "padding", padding)
    if any(pad >= side for pad, side in zip(padding, (*size, *size))):
        raise NetworkError(f"{layer.name}.padding {padding} must be smaller than the kernel {size}")
