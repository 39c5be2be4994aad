"""Average pooling is the convolution that sums each channel over the window."""

from __future__ import annotations

import numpy as np

from pynq_cnn.compiler.lower.diagonal import diagonal
from pynq_cnn.compiler.lower.rule import Lowering, add, refusal
from pynq_cnn.compiler.stage import Stage
from pynq_cnn.model import AvgPool2d, Conv2d


@add.register
def _(layer: AvgPool2d, so_far: Lowering) -> None:
    if layer.padding[:2] != layer.padding[2:]:
        raise refusal("padding that differs from side to side", so_far)
    (given,), gives = so_far.node.given, so_far.node.gives
    channels = given.shape[2]
    weight, bias = diagonal(layer.name, layer.size, channels), np.full(channels, layer.bias, np.int32)
    conv = Conv2d(layer.name, weight, bias, layer.stride, layer.padding, layer.requantisation)
    pad = given.zero_point * (channels // len(given.zero_point))
    so_far.stages.append(Stage(layer.name, conv, given.shape, gives.shape, pad=pad))
