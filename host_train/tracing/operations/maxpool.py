"""Max pooling."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from host_train.tracing.operations.kind import Kind, Shape, of_rows, plain_size, with_attributes
from pynq_cnn.errors import NetworkError


def _max_pool(
    before: Shape,
    after: Shape,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> list[nn.Module]:
    sizes = plain_size(kernel_size), plain_size(stride), plain_size(padding), plain_size(dilation)
    return [nn.MaxPool2d(*sizes, ceil_mode=ceil_mode)]


def _adaptive(before: Shape, after: Shape, output_size: Any, return_indices: bool = False) -> list[nn.Module]:
    given, wanted = before[2:], after[2:]
    if any(side % parts for side, parts in zip(given, wanted)):
        raise NetworkError(
            f"adaptive pooling of {given} to {wanted} has windows of different sizes; choose an output size that"
            " divides it"
        )
    window = tuple(side // parts for side, parts in zip(given, wanted))
    return [nn.MaxPool2d(window if len(window) == 2 else (1, *window))]


def _amax(before: Shape, after: Shape, dim: Any = (), keepdim: bool = False) -> list[nn.Module]:
    """The maximum over sides of the image."""
    dims = {d % len(before) for d in ([dim] if isinstance(dim, int) else dim)}
    if len(before) not in (3, 4) or not dims or min(dims) < 2:
        raise NetworkError(
            f"a maximum over dimensions {dim} of {before} cannot be mapped; over height and width, dim=(2, 3), it can"
        )
    window = [side if d in dims else 1 for d, side in enumerate(before)][2:]
    return [nn.MaxPool2d((window[0], window[1]) if len(window) == 2 else (1, window[0]))]


_max_pool1d = of_rows(_max_pool)
_OPTIONS = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
_ADAPTIVE = with_attributes(_adaptive, "output_size")
MAXPOOL = Kind(
    {
        nn.MaxPool2d: with_attributes(_max_pool, *_OPTIONS),
        nn.MaxPool1d: with_attributes(_max_pool1d, *_OPTIONS),
        **dict.fromkeys((nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool1d), _ADAPTIVE),
    },
    {
        **dict.fromkeys((F.max_pool2d, torch.max_pool2d), _max_pool),
        **dict.fromkeys((F.max_pool1d, torch.max_pool1d), _max_pool1d),
        **dict.fromkeys((F.adaptive_max_pool2d, F.adaptive_max_pool1d), _adaptive),
        torch.amax: _amax,
    },
    {"amax": _amax},
)
