"""Some of a layer's channels: the weights for the others are left out."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn

from host_train.layers.join import Add
from host_train.layers.scale import ChannelScale
from host_train.quantisation.layers.rules import as_scale, is_scale

CHANNEL_BY_CHANNEL = (Add, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Flatten)


def of_channels(layer: nn.Module, channels: torch.Tensor) -> nn.Module | None:
    """`layer` for these of its output's channels alone; None if that is not known.

    Examples
    --------
    >>> of_channels(nn.Linear(3, 10), torch.tensor([7, 1]))
    Linear(in_features=3, out_features=2, bias=True)
    """
    if isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.groups == 1):
        made = deepcopy(layer)
        made.weight = nn.Parameter(layer.weight.detach()[channels])
        if layer.bias is not None:
            made.bias = nn.Parameter(layer.bias.detach()[channels])
        if isinstance(made, nn.Linear):
            made.out_features = len(channels)
        else:
            made.out_channels = len(channels)
        return made
    if is_scale(layer):
        scale = as_scale(layer)
        factor, shift = (None if one is None else one.detach()[channels].float() for one in (scale.weight, scale.bias))
        return ChannelScale(factor, shift)
    return deepcopy(layer) if isinstance(layer, CHANNEL_BY_CHANNEL) else None


def needs_the_same(made: nn.Module) -> bool:
    """Whether a layer of some channels wants those of what it takes."""
    return isinstance(made, (ChannelScale, *CHANNEL_BY_CHANNEL))
