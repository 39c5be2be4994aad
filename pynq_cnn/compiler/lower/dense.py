"""A dense layer is a 1 x 1 convolution over a 1 x 1 image."""

from __future__ import annotations

from pynq_cnn.compiler.lower.rule import Lowering, add
from pynq_cnn.compiler.stage import Stage
from pynq_cnn.model import Conv2d, Dense


@add.register
def _(layer: Dense, so_far: Lowering) -> None:
    flat = (1, 1, layer.weight.shape[1])
    conv = Conv2d(layer.name, layer.weight[:, None, None, :], layer.bias, requantisation=layer.requantisation)
    so_far.stages.append(Stage(layer.name, conv, flat, so_far.node.gives.shape))
