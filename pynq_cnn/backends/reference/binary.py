"""Convolution of bits with bits (docs/contract/numerics.md, section 6)."""

from __future__ import annotations

import numpy as np

from pynq_cnn.backends.reference.exact_matrix import ExactMatrix
from pynq_cnn.backends.reference.execution import Step, execution
from pynq_cnn.backends.reference.finish import finish
from pynq_cnn.backends.reference.im2col import convolve
from pynq_cnn.model import BinaryConv2d, TensorType


@execution.register
def _(layer: BinaryConv2d, *given: TensorType) -> Step:
    """Section 6: sums of products of +1 and -1, with 0 outside the image; the definition, and far from how the engine
    counts bits.
    """
    weight = ExactMatrix.of(layer.signs())
    return lambda bits: finish(convolve(bits.astype(np.int8) * 2 - 1, layer, weight, 0), None, layer.threshold)
