"""Max pooling is the second half of a stage; behind no convolution, of one that changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pynq_cnn.compiler.lower.diagonal import diagonal
from pynq_cnn.compiler.lower.rule import Lowering, add, refusal
from pynq_cnn.compiler.stage import Stage
from pynq_cnn.model import Conv2d, MaxPool2d, Requantisation


def identity(name: str, channels: int) -> Conv2d:
    """A 1 x 1 convolution that changes nothing: (a * 2 + 1) >> 1 = a."""
    weight, ones = diagonal(name, (1, 1), channels), np.ones(channels)
    unchanged = Requantisation((2 * ones).astype(np.uint16), ones.astype(np.uint8))
    return Conv2d(name, weight, np.zeros(channels, np.int32), requantisation=unchanged)


@add.register
def _(layer: MaxPool2d, so_far: Lowering) -> None:
    stages, (given,), gives = so_far.stages, so_far.node.given, so_far.node.gives
    if any(layer.padding):
        raise refusal("padded pooling", so_far)
    if len({*layer.size}) > 1 or len({*layer.stride}) > 1:
        raise refusal("pooling of windows that are not square", so_far)
    if stages and stages[-1].pool is None:
        stages[-1] = replace(stages[-1], name=f"{stages[-1].name}+{layer.name}", out_shape=gives.shape, pool=layer)
    else:
        stages.append(Stage(layer.name, identity(layer.name, given.shape[2]), given.shape, gives.shape, layer))
