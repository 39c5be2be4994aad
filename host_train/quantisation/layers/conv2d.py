"""Convolution."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

from host_train.layers.padded import PaddedConv2d, Sides, padded, sides_of
from host_train.layers.scale import ChannelScale
from host_train.layers.select import Select
from host_train.quantisation.fake import fake_quantise_weight
from host_train.quantisation.layers.rules import (
    check_options,
    input_reach,
    integer_layer,
    prepared,
    quantised,
    role,
    scale_inputs,
    scale_outputs,
    select_inputs,
    takes_image,
    takes_skip,
)
from host_train.quantisation.layers.select import moved_channels, zeros_around
from host_train.quantisation.layers.state import Grid, Role, Values
from host_train.quantisation.layers.sums import (
    finish_channels,
    integer_weights,
    on_grid,
    reach_of,
    weight_gain,
    with_bias,
)
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import Conv2d


class QuantisedConv2d(nn.Conv2d):
    """Conv2d whose weights are on an int8 grid: one step per output channel, or for the layer where `per_layer` is set.

    Weights that are equal stay so only on the grid of a layer.
    `gain` [1 or out, in / groups, 1, 1] is 1 but for a first layer: there 1/std of each channel is folded into the
    integer weights, so the grid is that of `weight / std`.
    `skip_step` is that of what is added to its sums, in units of the step of its input.
    """

    gain: torch.Tensor
    per_layer = False
    sides: Sides = (0, 0, 0, 0)
    skip_step: torch.Tensor | None

    @classmethod
    def of(cls, layer: nn.Conv2d, grid: Grid) -> QuantisedConv2d:
        """With the weight and bias of `layer`."""
        made = cls(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,  # type: ignore[arg-type]
            layer.stride,  # type: ignore[arg-type]
            dilation=layer.dilation,  # type: ignore[arg-type]
            groups=layer.groups,
        )
        made.sides = sides_of(layer)
        return on_grid(made, layer, weight_gain(layer, grid.std), grid)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        weight = fake_quantise_weight(self.weight, self.gain, self.per_layer, self.skip_step)
        top, left, bottom, right = self.sides
        same = (top, left) == (bottom, right)
        given, padding = (values, (top, left)) if same else (padded(values, self.sides), (0, 0))
        return F.conv2d(given, weight, self.bias, self.stride, padding, self.dilation, self.groups)


def _covered(layer: nn.Conv2d) -> tuple[int, int]:
    """Rows and columns that the kernel covers."""
    height, width = (step * (side - 1) + 1 for step, side in zip(layer.dilation, layer.kernel_size))
    return height, width


@check_options.register
def _(layer: nn.Conv2d, name: str) -> None:
    sides = sides_of(layer)
    if layer.padding_mode != "zeros" and any(sides):
        raise NetworkError(f"{name} has padding_mode={layer.padding_mode!r}; only 'zeros' can be mapped")
    if any(pad >= side for pad, side in zip(sides, (*_covered(layer), *_covered(layer)))):
        raise NetworkError(
            f"{name} has padding={layer.padding}, which must be smaller than the kernel {layer.kernel_size}; use less"
        )


@role.register
def _(layer: nn.Conv2d, name: str) -> Role:
    return Role.SUMS


@prepared.register
def _(layer: nn.Conv2d) -> nn.Module:
    return with_bias(layer)


@scale_outputs.register
def _(layer: nn.Conv2d, scale: ChannelScale) -> bool:
    return finish_channels(layer, scale)


@scale_inputs.register
def _(layer: nn.Conv2d, scale: ChannelScale) -> bool:
    """Not with a shift where it pads: the zeros around are not shifted."""
    assert layer.bias is not None  # `prepared` has seen to it
    constants = scale.constants(layer.in_channels)
    if (any(sides_of(layer)) and bool(constants[1].any())) or len(constants[0]) != layer.in_channels:
        return False
    groups = [o * layer.groups // layer.out_channels for o in range(layer.out_channels)]
    factor, shift = (values.reshape(layer.groups, -1)[groups][:, :, None, None] for values in constants)
    weight = layer.weight.detach().double()
    layer.bias = nn.Parameter((layer.bias.detach().double() + (weight * shift).sum((1, 2, 3))).float())
    layer.weight = nn.Parameter((weight * factor).float())
    return True


@input_reach.register
def _(layer: nn.Conv2d, channels: int) -> torch.Tensor | None:
    if channels != layer.in_channels:
        return None
    if layer.groups == layer.in_channels:
        return torch.zeros(channels, dtype=torch.float64)
    largest = layer.weight.detach().double().abs().amax((2, 3))
    # Of each group the outputs that see its channels.
    return reach_of(largest).reshape(layer.groups, -1, largest.shape[1]).amax(1).flatten()


@select_inputs.register
def _(layer: nn.Conv2d, select: Select) -> nn.Module | None:
    """The kernels spread over the channels that there are, or zeros around the image as padding."""
    around = zeros_around(select)
    if around is not None:
        top, left, bottom, right = (one + other for one, other in zip(sides_of(layer), around))
        sides = top, left, bottom, right
        if any(pad >= side for pad, side in zip(sides, (*_covered(layer), *_covered(layer)))):
            return None
        made = PaddedConv2d(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,
            layer.stride,
            dilation=layer.dilation,
            groups=layer.groups,
            sides=sides,
        )
        made.load_state_dict(layer.state_dict())
        return made
    moved = moved_channels(select)
    if moved is None or layer.groups != 1:
        return None
    channels, count = moved
    weight = layer.weight.new_zeros(layer.out_channels, count, *layer.kernel_size)
    for i, channel in enumerate(channels):
        if channel >= 0:
            weight[:, channel] += layer.weight.detach()[:, i]
    layer.weight, layer.in_channels = nn.Parameter(weight), count
    return layer


@takes_skip.register
def _(layer: nn.Conv2d) -> bool:
    return True


@takes_image.register
def _(layer: nn.Conv2d) -> bool:
    return True


@quantised.register
def _(layer: nn.Conv2d, grid: Grid) -> nn.Module:
    return QuantisedConv2d.of(layer, grid)


@integer_layer.register
def _(layer: QuantisedConv2d, name: str, behind: Values, given: Values) -> tuple[Conv2d, Values]:
    weight, bias, unit = integer_weights(layer, layer.weight, given, layer.groups)
    made = Conv2d(
        name,
        weight,
        bias,
        layer.stride,  # type: ignore[arg-type]
        layer.sides,
        dilation=layer.dilation,  # type: ignore[arg-type]
        groups=layer.groups,
        inputs=(given.source,),
    )
    return made, replace(behind, unit=unit, zero_point=0, spec=None, sums_of=made)
