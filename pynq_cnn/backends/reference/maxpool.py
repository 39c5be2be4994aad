"""Max pooling (docs/contract/numerics.md, section 4)."""

from __future__ import annotations

import numpy as np

from pynq_cnn.backends.reference.execution import Step, execution
from pynq_cnn.backends.reference.im2col import padded, windows_of
from pynq_cnn.model import MaxPool2d, TensorType


def max_pool(images: np.ndarray, layer: MaxPool2d) -> np.ndarray:
    """uint8 [n, out_h, out_w, c] window maxima of uint8 [n, h, w, c] (numerics, section 4); of bits that is OR."""
    windows = windows_of(padded(images, layer.padding, 0), layer.size, layer.stride)
    return windows.max(axis=(-2, -1))


@execution.register
def _(layer: MaxPool2d, *given: TensorType) -> Step:
    return lambda images: max_pool(images, layer)
