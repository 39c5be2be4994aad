"""Batch norm: in the weights before or behind it, a layer of its own, or in the threshold of a binary layer."""

from __future__ import annotations

import torch
from torch import nn

from host_train.layers.scale import ChannelScale
from host_train.quantisation.layers.rules import (
    add_to_blocks,
    as_scale,
    by_channel,
    check_options,
    last_block,
    role,
)
from host_train.quantisation.layers.state import Block, Role
from pynq_cnn.errors import NetworkError

Norm = nn.BatchNorm1d | nn.BatchNorm2d


@check_options.register(nn.BatchNorm1d)
@check_options.register(nn.BatchNorm2d)
def _(layer: Norm, name: str) -> None:
    if layer.running_mean is None or layer.running_var is None:
        raise NetworkError(f"{name} keeps no running statistics; train it with track_running_stats=True")


@role.register(nn.BatchNorm1d)
@role.register(nn.BatchNorm2d)
def _(layer: Norm, name: str) -> Role:
    return Role.SCALE


@as_scale.register(nn.BatchNorm1d)
@as_scale.register(nn.BatchNorm2d)
def _(norm: Norm) -> ChannelScale:
    """In float64."""
    assert norm.running_mean is not None and norm.running_var is not None  # `check_options` has seen to it
    mean, variance = norm.running_mean.double(), norm.running_var.double()
    scale = 1 / torch.sqrt(variance + norm.eps)
    shift = torch.zeros_like(mean)
    if norm.affine:
        scale, shift = scale * norm.weight.detach().double(), norm.bias.detach().double()
    return ChannelScale(scale, shift - mean * scale)


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
