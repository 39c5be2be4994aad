"""Average pooling is the convolution that sums each channel over the window."""

from __future__ import annotations

import numpy as np

from pynq_cnn.compiler.lower.diagonal import diagonal
from pynq_cnn.compiler.lower.rule import Lowering, add
from pynq_cnn.compiler.stage import Stage
from pynq_cnn.model import AvgPool2d, Conv2d


@add.register
def _(layer: AvgPool2d, so_far: Lowering) -> None:
    channels = so_far.in_shape[2]
    weight = diagonal(layer.name, layer.size, channels)
    conv = Conv2d(layer.name, weight, np.zeros(channels, np.int32), layer.stride, requantisation=layer.requantisation)
    so_far.stages.append(Stage(layer.name, conv, so_far.in_shape, so_far.out_shape))
