"""Convolution on bytes (docs/contract/numerics.md, section 2)."""

from __future__ import annotations

from pynq_cnn.backends.reference.exact_matrix import ExactMatrix
from pynq_cnn.backends.reference.execution import Step, execution
from pynq_cnn.backends.reference.finish import finish
from pynq_cnn.backends.reference.im2col import convolve
from pynq_cnn.model import Conv2d


@execution.register
def _(layer: Conv2d) -> Step:
    weight, outside = ExactMatrix.of(layer.weight), 0 if layer.pad_value is None else layer.pad_value
    return lambda images: finish(
        convolve(images, layer, weight, outside) + layer.bias, layer.requantisation, layer.threshold
    )
