"""Convolution."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

from host_train.quantisation.fake import fake_quantise_weight
from host_train.quantisation.layers.rules import check_options, fold_layer, follow, integer_layer, quantised
from host_train.quantisation.layers.state import Grid, Place, Values
from host_train.quantisation.layers.sums import input_gain, integer_weights, sums_behind, with_bias
from host_train.quantisation.sequential import pair
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import Conv2d


class QuantisedConv2d(nn.Conv2d):
    """Conv2d whose weights are on an int8 grid: one step per output channel, or for the layer where `per_layer` is set.

    Weights that are equal stay so only on the grid of a layer.
    `gain` [1, in, 1, 1] is 1 but for a first layer: there 1/std of each channel is folded into the integer weights, so
    the grid is that of `weight / std`.
    """

    gain: torch.Tensor
    per_layer = False

    @classmethod
    def of(cls, layer: nn.Conv2d, gain: torch.Tensor, per_layer: bool = False) -> QuantisedConv2d:
        """With the weight and bias of `layer`."""
        made = cls(layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding)  # type: ignore[arg-type]
        made.load_state_dict(layer.state_dict())
        made.register_buffer("gain", gain.reshape(1, -1, 1, 1))
        made.per_layer = per_layer
        return made

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return F.conv2d(
            values, fake_quantise_weight(self.weight, self.gain, self.per_layer), self.bias, self.stride, self.padding
        )


@check_options.register
def _(layer: nn.Conv2d, name: str) -> None:
    if layer.groups != 1:
        raise NetworkError(f"{name} has groups={layer.groups}; only groups=1 can be mapped")
    if tuple(layer.dilation) != (1, 1):
        raise NetworkError(f"{name} has dilation={layer.dilation}; only 1 can be mapped")
    if isinstance(layer.padding, str):
        raise NetworkError(f"{name} has padding={layer.padding!r}; give it as numbers")
    if layer.padding_mode != "zeros" and any(layer.padding):
        raise NetworkError(f"{name} has padding_mode={layer.padding_mode!r}; only 'zeros' can be mapped")
    if any(pad >= side for pad, side in zip(pair(layer.padding), layer.kernel_size)):
        raise NetworkError(
            f"{name} has padding={layer.padding}, which must be smaller than the kernel {layer.kernel_size}; use less"
        )


@follow.register
def _(layer: nn.Conv2d, name: str, given: Place) -> Place:
    behind = sums_behind(name, given)
    if any(pair(layer.padding)) and given.pooled:
        raise NetworkError(
            f"{name} pads behind a max pooling of the image, but only the first layer can pad with the byte that stands"
            " for 0 there; give it padding=0, or put the pooling behind it",
            name,
        )
    return behind


@fold_layer.register
def _(layer: nn.Conv2d, name: str, layers: list[tuple[str, nn.Module]]) -> None:
    layers.append((name, with_bias(layer)))


@quantised.register
def _(layer: nn.Conv2d, grid: Grid) -> nn.Module:
    return QuantisedConv2d.of(layer, input_gain(layer, grid.std), grid.per_layer)


@integer_layer.register
def _(layer: QuantisedConv2d, name: str, behind: Values, given: Values) -> tuple[Conv2d, Values]:
    weight, bias, unit = integer_weights(layer, layer.weight, given)
    padding = pair(layer.padding)
    made = Conv2d(name, weight, bias, pair(layer.stride), (*padding, *padding))
    return made, replace(behind, unit=unit, spec=None, sums_of=made)
