"""Average pooling, however it is written, and sums over what an average would be over."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from host_train.layers.scale import ChannelScale
from host_train.quantisation.sequential import pair
from host_train.tracing.operations.kind import Kind, Shape, of_rows, plain_size, with_attributes, with_values
from pynq_cnn.errors import NetworkError

_OVER = "over height and width, dim=(2, 3), it can, and over channels, dim=1 with keepdim=True"


class Unchanged(nn.Identity):
    """Average pooling of single pixels: it changes nothing, but a network may end with it."""


def _avg_pool(
    before: Shape,
    after: Shape,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> list[nn.Module]:
    acts = ceil_mode and after[2:] != _floor_size(before, kernel_size, stride, padding)
    pool = nn.AvgPool2d(
        plain_size(kernel_size), plain_size(stride), plain_size(padding), acts, count_include_pad, divisor_override
    )
    return (
        [Unchanged()]
        if after == before and pair(pool.kernel_size) == (1, 1) and divisor_override in (None, 1)
        else [pool]
    )


def _floor_size(before: Shape, kernel_size: Any, stride: Any, padding: Any) -> Shape:
    """Height and width without ceil_mode."""
    sizes = (before[2:], pair(kernel_size), pair(stride or kernel_size), pair(padding))
    return tuple((side + 2 * pad - window) // step + 1 for side, window, step, pad in zip(*sizes))


def _adaptive_avg_pool(before: Shape, after: Shape, output_size: Any) -> list[nn.Module]:
    """Average pooling of the size that this input needs."""
    if len(before) not in (3, 4):
        raise NetworkError(f"average pooling takes [n, channels, height, width], not {before}")
    given, wanted = before[2:], after[2:]
    if any(side % parts for side, parts in zip(given, wanted)):
        raise NetworkError(
            f"adaptive pooling of {given} to {wanted} has windows of different sizes; choose an output size that"
            " divides it"
        )
    if math.prod(wanted) == 1 and len(before) == 3:
        return [Unchanged() if given == (1,) else nn.AdaptiveAvgPool2d(1)]
    windows = tuple(side // parts for side, parts in zip(given, wanted))
    return _average((windows[-2] if len(windows) > 1 else 1, windows[-1]))


def _average(window: tuple[int, int]) -> list[nn.Module]:
    return [Unchanged() if window == (1, 1) else nn.AvgPool2d(window)]


def _mean(before: Shape, after: Shape, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> list[nn.Module]:
    """The mean over height and width is global average pooling; so is that over pixels in a row, or over one side and
    then the other.
    """
    dims = _dims(before, dim)
    if dims == [1] and keepdim and len(before) == 4:
        return _over_channels(before, 1 / before[1])
    if len(before) not in (3, 4) or not dims or dims[0] < 2:
        raise NetworkError(f"a mean over dimensions {dim} of {before} cannot be mapped; {_OVER}")
    if len(before) == 3:  # whether these are pixels of a row, or of an image
        return [Unchanged() if before[2] == 1 else nn.AdaptiveAvgPool2d(1)]
    window = tuple(side if d in dims else 1 for d, side in enumerate(before))
    return _average((window[2], window[3]))


def _sum(before: Shape, after: Shape, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> list[nn.Module]:
    """The mean, times how many there are."""
    dims = _dims(before, dim)
    if dims == [1] and keepdim and len(before) == 4:
        return _over_channels(before, 1.0)
    if len(before) not in (3, 4) or not dims or dims[0] < 2:
        raise NetworkError(f"a sum over dimensions {dim} of {before} cannot be mapped; {_OVER}")
    count = torch.full((before[1],), float(math.prod(before[d] for d in dims)))
    return [*_mean(before, after, dim), ChannelScale(count)]


def _dims(before: Shape, dim: Any) -> list[int]:
    return sorted(d % len(before) for d in ([dim] if isinstance(dim, int) else dim or []))


def _over_channels(before: Shape, weight: float) -> list[nn.Module]:
    """The sum of all channels, each times `weight`."""
    made = nn.Conv2d(before[1], 1, 1, bias=False)
    return with_values(made, weight=torch.full((1, before[1], 1, 1), weight))


_avg_pool1d = of_rows(_avg_pool)
_OPTIONS = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
_ADAPTIVE = with_attributes(_adaptive_avg_pool, "output_size")
AVGPOOL = Kind(
    {
        nn.AvgPool2d: with_attributes(_avg_pool, *_OPTIONS, "divisor_override"),
        nn.AvgPool1d: with_attributes(_avg_pool1d, *_OPTIONS),
        **dict.fromkeys((nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool1d), _ADAPTIVE),
    },
    {
        F.avg_pool2d: _avg_pool,
        F.avg_pool1d: _avg_pool1d,
        **dict.fromkeys((F.adaptive_avg_pool2d, F.adaptive_avg_pool1d), _adaptive_avg_pool),
        torch.mean: _mean,
        torch.sum: _sum,
    },
    {"mean": _mean, "sum": _sum},
)
