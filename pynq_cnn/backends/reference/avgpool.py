"""Average pooling (docs/contract/numerics.md, section 7)."""

from __future__ import annotations

import numpy as np

from pynq_cnn.backends.reference.execution import Step, execution
from pynq_cnn.backends.reference.finish import finish
from pynq_cnn.backends.reference.im2col import windows_of
from pynq_cnn.model import AvgPool2d


def sum_pool(images: np.ndarray, layer: AvgPool2d) -> np.ndarray:
    """int32 [n, out_h, out_w, c] window sums of uint8 [n, h, w, c] (numerics, section 7)."""
    return windows_of(images, layer.size)[:, :: layer.stride[0], :: layer.stride[1]].sum(axis=(-2, -1), dtype=np.int32)


@execution.register
def _(layer: AvgPool2d) -> Step:
    return lambda images: finish(sum_pool(images, layer), layer.requantisation, None)
