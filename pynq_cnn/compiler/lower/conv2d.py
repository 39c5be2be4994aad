"""A convolution is a stage."""

from __future__ import annotations

from pynq_cnn.compiler.lower.rule import Lowering, add
from pynq_cnn.compiler.stage import Stage
from pynq_cnn.model import Conv2d


@add.register
def _(layer: Conv2d, so_far: Lowering) -> None:
    so_far.stages.append(Stage(layer.name, layer, so_far.in_shape, so_far.out_shape))
