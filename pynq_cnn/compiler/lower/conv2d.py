"""A convolution is a stage."""

from __future__ import annotations

from pynq_cnn.compiler.lower.rule import Lowering, add, refusal
from pynq_cnn.compiler.stage import Stage
from pynq_cnn.model import Conv2d


@add.register
def _(layer: Conv2d, so_far: Lowering) -> None:
    if layer.groups != 1 or layer.dilation != (1, 1):
        raise refusal("groups and dilation", so_far)
    if layer.padding[:2] != layer.padding[2:]:
        raise refusal("padding that differs from side to side", so_far)
    (given,), gives = so_far.node.given, so_far.node.gives
    pad = given.zero_point * (given.shape[2] // len(given.zero_point))
    so_far.stages.append(Stage(layer.name, layer, given.shape, gives.shape, pad=pad))
