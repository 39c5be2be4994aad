"""A factor and a shift for each channel: a depthwise convolution of single pixels, whose weights lose nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from host_train.layers.scale import ChannelScale
from host_train.quantisation.fake import SKIP_MAX, TINY, WEIGHT_MAX
from host_train.quantisation.layers.rules import (
    add_to_blocks,
    as_scale,
    integer_layer,
    last_block,
    quantised,
    role,
    takes_image,
    takes_skip,
)
from host_train.quantisation.layers.state import Block, Grid, Role, Values
from host_train.quantisation.layers.sums import in_units, keep_skip
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import Conv2d, Dense, Layer

MOST = 4096  # features that are scaled one by one, by a Dense of the square of that


class QuantisedScale(ChannelScale):
    """ChannelScale in integers: each weight is 127 steps, so that none is rounded; `skip_step` as in
    `QuantisedConv2d`.
    """

    skip_step: torch.Tensor | None

    @classmethod
    def of(cls, layer: ChannelScale, grid: Grid) -> QuantisedScale:
        """With the factors and shifts of `layer`."""
        made = cls(layer.weight, layer.bias)
        keep_skip(made, grid.skip)
        return made


@role.register
def _(layer: ChannelScale, name: str) -> Role:
    return Role.SCALE


@as_scale.register
def _(layer: ChannelScale) -> ChannelScale:
    return layer


@takes_skip.register
def _(layer: ChannelScale) -> bool:
    return True


@takes_image.register
def _(layer: ChannelScale) -> bool:
    return True


@quantised.register
def _(layer: ChannelScale, grid: Grid) -> nn.Module:
    return QuantisedScale.of(layer, grid)


@add_to_blocks.register
def _(layer: ChannelScale, name: str, found: list[Block]) -> None:
    if not found:
        raise NetworkError(
            f"{name} scales the images in front of the first binary layer; leave it out, and give mean and std"
        )
    last_block(layer, name, found).add(layer)


def _steps(weight: np.ndarray, skip_step: torch.Tensor | None) -> np.ndarray:
    """Steps of single weights [out] such that each is a whole number of them, 64 to 127, and so is what is added."""
    size = np.maximum(np.abs(weight), TINY)
    if skip_step is None:
        return size / WEIGHT_MAX
    skip = float(skip_step)
    # Of all numbers of steps the one at which what is added is rounded least.
    steps = size[:, None] / np.arange(WEIGHT_MAX, WEIGHT_MAX // 2, -1)
    times = skip / steps
    wrong = np.abs(np.rint(times) / times - 1)
    best = steps[np.arange(len(steps)), wrong.argmin(1)]
    return np.maximum(best, skip / SKIP_MAX)


@integer_layer.register
def _(layer: QuantisedScale, name: str, behind: Values, given: Values) -> tuple[Layer, Values]:
    channels, height, width = given.image
    weight, bias = (values.numpy() for values in layer.constants(channels))
    count = len(weight)
    steps = _steps(weight / (1 if given.spec is None else np.array(given.spec.std)), layer.skip_step)
    made: Layer
    if count == channels:
        kernels, shift, unit = in_units(weight.reshape(-1, 1, 1, 1), bias, steps, given, channels)
        made = Conv2d(name, kernels, shift, groups=channels, inputs=(given.source,))
    elif count == channels * height * width <= MOST and given.spec is None:
        rows = np.diag(weight).reshape(count, *given.image)
        kernels, shift, unit = in_units(rows, bias, steps, given)
        made = Dense(name, kernels.reshape(count, -1), shift, inputs=(given.source,))
        behind = replace(behind, image=(count, 1, 1))
    else:
        raise NetworkError(
            f"{name} scales {count} features, of an image of {given.image}; put a BatchNorm2d before the flattening"
        )
    return made, replace(behind, unit=unit, zero_point=0, spec=None, sums_of=made)
