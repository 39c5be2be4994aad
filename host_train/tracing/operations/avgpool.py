"""Average pooling, however it is written."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from host_train.quantisation.sequential import pair
from host_train.tracing.operations.kind import Kind, Shape, plain_size
from host_train.tracing.operations.reshape import Reshape
from pynq_cnn.errors import NetworkError


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
    pool = nn.AvgPool2d(
        plain_size(kernel_size), plain_size(stride), plain_size(padding), ceil_mode, count_include_pad, divisor_override
    )
    return (
        [Unchanged()]
        if after == before and pair(pool.kernel_size) == (1, 1) and divisor_override in (None, 1)
        else [pool]
    )


def _adaptive_avg_pool(before: Shape, after: Shape, output_size: Any) -> list[nn.Module]:
    """Average pooling of the size that this input needs."""
    if len(before) != 4:
        raise NetworkError(f"average pooling takes [n, channels, height, width], not {before}")
    given, wanted = before[2:], after[2:]
    if any(side % parts for side, parts in zip(given, wanted)):
        raise NetworkError(
            f"adaptive pooling of {given} to {wanted} has windows of different sizes; choose an output size that"
            " divides it"
        )
    return _average((given[0] // wanted[0], given[1] // wanted[1]))


def _average(window: tuple[int, int]) -> list[nn.Module]:
    return [Unchanged() if window == (1, 1) else nn.AvgPool2d(window)]


def _mean(before: Shape, after: Shape, dim: Any = None, keepdim: bool = False) -> list[nn.Module]:
    """The mean over height and width is global average pooling; so is that over pixels in a row, or over one side and
    then the other.
    """
    dims = sorted(d % len(before) for d in ([dim] if isinstance(dim, int) else dim or []))
    if len(before) not in (3, 4) or not dims or dims[0] < 2:
        raise NetworkError(
            f"a mean over dimensions {dim} of {before} cannot be mapped; over height and width, dim=(2, 3), it can"
        )
    image = (*before, 1) if len(before) == 3 else before
    left = tuple(1 if d in dims else side for d, side in enumerate(image))
    pooled = _average((image[2] // left[2], image[3] // left[3]))
    return [Reshape(before, image), *pooled, Reshape(left, after)]


def _module(layer: nn.AvgPool2d, before: Shape, after: Shape) -> list[nn.Module]:
    options = (layer.ceil_mode, layer.count_include_pad, layer.divisor_override)
    return _avg_pool(before, after, layer.kernel_size, layer.stride, layer.padding, *options)


def _adaptive_module(layer: nn.AdaptiveAvgPool2d, before: Shape, after: Shape) -> list[nn.Module]:
    return _adaptive_avg_pool(before, after, layer.output_size)


AVGPOOL = Kind(
    {nn.AvgPool2d: _module, nn.AdaptiveAvgPool2d: _adaptive_module},
    {F.avg_pool2d: _avg_pool, F.adaptive_avg_pool2d: _adaptive_avg_pool, torch.mean: _mean},
    {"mean": _mean},
)
