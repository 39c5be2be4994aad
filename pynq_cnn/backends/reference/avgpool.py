"""Average pooling (docs/contract/numerics.md, section 7)."""

from __future__ import annotations

import numpy as np

from pynq_cnn.backends.reference.execution import Step, execution
from pynq_cnn.backends.reference.finish import finish
from pynq_cnn.backends.reference.im2col import padded, windows_of
from pynq_cnn.model import AvgPool2d, TensorType


def sum_pool(images: np.ndarray, layer: AvgPool2d, outside: np.ndarray | int = 0) -> np.ndarray:
    """int32 [n, out_h, out_w, c] window sums of uint8 [n, h, w, c] (numerics, section 7), without the bias."""
    windows = windows_of(padded(images, layer.padding, outside), layer.size, layer.stride)
    return windows.sum(axis=(-2, -1), dtype=np.int32)


@execution.register
def _(layer: AvgPool2d, *given: TensorType) -> Step:
    outside, bias = np.array(given[0].zero_point, np.uint8), np.int32(layer.bias)
    return lambda images: finish(sum_pool(images, layer, outside) + bias, layer.requantisation, None)
