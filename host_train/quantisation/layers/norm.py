"""Batch norm: folded into the weights before it, or into the threshold of a binary layer."""

from __future__ import annotations

import torch
from torch import nn

from host_train.quantisation.layers.rules import (
    add_to_blocks,
    by_channel,
    check_options,
    fold_layer,
    follow,
    last_block,
)
from host_train.quantisation.layers.state import Block, Place
from host_train.quantisation.layers.sums import Summing
from pynq_cnn.errors import NetworkError

Norm = nn.BatchNorm1d | nn.BatchNorm2d


@check_options.register(nn.BatchNorm1d)
@check_options.register(nn.BatchNorm2d)
def _(layer: Norm, name: str) -> None:
    if layer.running_mean is None or layer.running_var is None:
        raise NetworkError(f"{name} keeps no running statistics; train it with track_running_stats=True")


@follow.register(nn.BatchNorm1d)
@follow.register(nn.BatchNorm2d)
def _(layer: Norm, name: str, given: Place) -> Place:
    if not given.foldable:
        raise NetworkError(
            f"{name} does not follow a Conv2d or Linear, to be folded into; put it before the ReLU and the pooling",
            name,
        )
    return given


@fold_layer.register(nn.BatchNorm1d)
@fold_layer.register(nn.BatchNorm2d)
def _(norm: Norm, name: str, layers: list[tuple[str, nn.Module]]) -> None:
    """Its scale and shift go into the weight and bias of the layer before it, in float64."""
    layer = layers[-1][1]
    assert isinstance(layer, Summing) and layer.bias is not None
    assert norm.running_mean is not None and norm.running_var is not None  # `check_options` has seen to it
    mean, variance = norm.running_mean.double(), norm.running_var.double()
    scale = 1 / torch.sqrt(variance + norm.eps)
    shift = torch.zeros_like(mean)
    if norm.affine:
        scale, shift = scale * norm.weight.detach().double(), norm.bias.detach().double()
    weight = layer.weight.detach().double() * scale.reshape(-1, *[1] * (layer.weight.ndim - 1))
    layer.weight = nn.Parameter(weight.float())
    layer.bias = nn.Parameter((shift + (layer.bias.detach().double() - mean) * scale).float())


@by_channel.register
def _(layer: nn.BatchNorm2d, values: torch.Tensor) -> torch.Tensor:
    return layer(values[:, :, None, None])[:, :, 0, 0]


@add_to_blocks.register(nn.BatchNorm1d)
@add_to_blocks.register(nn.BatchNorm2d)
def _(layer: Norm, name: str, found: list[Block]) -> None:
    block = last_block(layer, name, found)
    if layer.num_features != block.outputs:
        raise NetworkError(
            f"{name} has {layer.num_features} channels, but {block.name} before it {block.outputs}; put a"
            " BatchNorm2d before the flattening"
        )
    block.add(layer)
