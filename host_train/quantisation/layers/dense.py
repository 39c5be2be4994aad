"""Fully connected layers."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

from host_train.quantisation.fake import fake_quantise_weight
from host_train.quantisation.layers.rules import fold_layer, follow, integer_layer, quantised
from host_train.quantisation.layers.state import Grid, Place, Values
from host_train.quantisation.layers.sums import input_gain, integer_weights, sums_behind, with_bias
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import Dense


class QuantisedLinear(nn.Linear):
    """Linear whose weights are on an int8 grid; `gain` [1, in] and `per_layer` as in `QuantisedConv2d`."""

    gain: torch.Tensor
    per_layer = False

    @classmethod
    def of(cls, layer: nn.Linear, gain: torch.Tensor, per_layer: bool = False) -> QuantisedLinear:
        """With the weight and bias of `layer`."""
        made = cls(layer.in_features, layer.out_features)
        made.load_state_dict(layer.state_dict())
        made.register_buffer("gain", gain.reshape(1, -1))
        made.per_layer = per_layer
        return made

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return F.linear(values, fake_quantise_weight(self.weight, self.gain, self.per_layer), self.bias)


@follow.register
def _(layer: nn.Linear, name: str, given: Place) -> Place:
    return sums_behind(name, given)


@fold_layer.register
def _(layer: nn.Linear, name: str, layers: list[tuple[str, nn.Module]]) -> None:
    layers.append((name, with_bias(layer)))


@quantised.register
def _(layer: nn.Linear, grid: Grid) -> nn.Module:
    return QuantisedLinear.of(layer, input_gain(layer, grid.std), grid.per_layer)


@integer_layer.register
def _(layer: QuantisedLinear, name: str, behind: Values, given: Values) -> tuple[Dense, Values]:
    if len(given.shape) != 1:
        raise NetworkError(f"{name} is a Linear over an input of shape {given.shape}; put a Flatten before it")
    # PyTorch flattens CHW, the engine HWC.
    weight, bias, unit = integer_weights(layer, layer.weight.reshape(-1, *given.image), given)
    made = Dense(name, weight.reshape(len(weight), -1), bias)
    return made, replace(behind, image=(len(weight), 1, 1), unit=unit, spec=None, sums_of=made)
