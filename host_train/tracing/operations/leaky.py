"""Activations of two straight pieces, which are sums of a scaled tensor and a ReLU of it."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from host_train.layers.scale import ChannelScale
from host_train.tracing.operations.kind import Kind, Shape, SumOf, with_attributes


def _two_slopes(before: Shape, slope: Any) -> list[nn.Module]:
    """`x` above 0, `slope * x` below: `slope * x + (1 - slope) * relu(x)`."""
    values = torch.as_tensor(slope, dtype=torch.float32).detach().cpu().reshape(-1)
    slopes = values.expand(before[1] if len(before) > 1 else 1).clone()
    if not slopes.any():
        return [nn.ReLU()]
    rest = ChannelScale(1 - slopes)
    # A factor that is not below 0 goes into the layer of the ReLU.
    return [SumOf([ChannelScale(slopes)], [rest, nn.ReLU()] if bool((slopes <= 1).all()) else [nn.ReLU(), rest])]


def _leaky(before: Shape, after: Shape, negative_slope: float = 0.01, inplace: bool = False) -> list[nn.Module]:
    return _two_slopes(before, negative_slope)


def _random(
    before: Shape,
    after: Shape,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    inplace: bool = False,
) -> list[nn.Module]:
    """In evaluation, the mean of the slopes."""
    return _two_slopes(before, (lower + upper) / 2)


def _prelu(before: Shape, after: Shape, weight: torch.Tensor) -> list[nn.Module]:
    return _two_slopes(before, weight)


def _absolute(before: Shape, after: Shape) -> list[nn.Module]:
    return _two_slopes(before, -1)


LEAKY = Kind(
    {
        nn.LeakyReLU: with_attributes(_leaky, "negative_slope"),
        nn.RReLU: with_attributes(_random, "lower", "upper"),
    },
    {
        **dict.fromkeys((F.leaky_relu, F.leaky_relu_), _leaky),
        F.rrelu: _random,
        **dict.fromkeys((torch.abs, torch.absolute), _absolute),
    },
    dict.fromkeys(("abs", "abs_", "absolute", "absolute_", "__abs__"), _absolute),
)
PRELU = Kind({nn.PReLU: with_attributes(_prelu, "weight")}, {torch.prelu: _prelu}, {"prelu": _prelu}, learned=True)
