"""Fully connected layers."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

from host_train.layers.scale import ChannelScale
from host_train.quantisation.fake import fake_quantise_weight
from host_train.quantisation.layers.rules import (
    input_reach,
    integer_layer,
    prepared,
    quantised,
    role,
    scale_inputs,
    scale_outputs,
    takes_image,
    takes_skip,
)
from host_train.quantisation.layers.state import Grid, Role, Values
from host_train.quantisation.layers.sums import (
    finish_channels,
    input_gain,
    integer_weights,
    on_grid,
    reach_of,
    with_bias,
)
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import Dense


class QuantisedLinear(nn.Linear):
    """Linear whose weights are on an int8 grid; `gain` [1, in], `per_layer` and `skip_step` as in `QuantisedConv2d`."""

    gain: torch.Tensor
    per_layer = False
    skip_step: torch.Tensor | None

    @classmethod
    def of(cls, layer: nn.Linear, grid: Grid) -> QuantisedLinear:
        """With the weight and bias of `layer`."""
        made = cls(layer.in_features, layer.out_features)
        return on_grid(made, layer, input_gain(layer, grid.std).reshape(1, -1), grid)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return F.linear(values, fake_quantise_weight(self.weight, self.gain, self.per_layer, self.skip_step), self.bias)


@role.register
def _(layer: nn.Linear, name: str) -> Role:
    return Role.SUMS


@prepared.register
def _(layer: nn.Linear) -> nn.Module:
    return with_bias(layer)


@scale_outputs.register
def _(layer: nn.Linear, scale: ChannelScale) -> bool:
    return finish_channels(layer, scale)


@scale_inputs.register
def _(layer: nn.Linear, scale: ChannelScale) -> bool:
    assert layer.bias is not None  # `prepared` has seen to it
    constants = scale.constants(layer.in_features)
    if layer.in_features % len(constants[0]):
        return False
    factor, shift = (values.repeat_interleave(layer.in_features // len(values)) for values in constants)
    weight = layer.weight.detach().double()
    layer.bias = nn.Parameter((layer.bias.detach().double() + weight @ shift).float())
    layer.weight = nn.Parameter((weight * factor).float())
    return True


@input_reach.register
def _(layer: nn.Linear, channels: int) -> torch.Tensor | None:
    if layer.in_features % channels:
        return None
    return reach_of(layer.weight.detach().double().abs().reshape(layer.out_features, channels, -1).amax(2)).amax(0)


@takes_skip.register
def _(layer: nn.Linear) -> bool:
    return True


@takes_image.register
def _(layer: nn.Linear) -> bool:
    return True


@quantised.register
def _(layer: nn.Linear, grid: Grid) -> nn.Module:
    return QuantisedLinear.of(layer, grid)


@integer_layer.register
def _(layer: QuantisedLinear, name: str, behind: Values, given: Values) -> tuple[Dense, Values]:
    if len(given.shape) != 1:
        raise NetworkError(f"{name} is a Linear over an input of shape {given.shape}; put a Flatten before it")
    # PyTorch flattens CHW, the engine HWC.
    weight, bias, unit = integer_weights(layer, layer.weight.reshape(-1, *given.image), given)
    made = Dense(name, weight.reshape(len(weight), -1), bias, inputs=(given.source,))
    image = (len(weight), 1, 1)
    return made, replace(behind, image=image, unit=unit, zero_point=0, spec=None, sums_of=made)
