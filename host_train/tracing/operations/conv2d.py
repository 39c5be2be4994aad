"""Convolution, of images and of rows, which are images of height 1."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from host_train.tracing.operations.kind import Kind, Shape, of_rows, plain_size, with_attributes, with_values


def _conv2d(
    before: Shape,
    after: Shape,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    mode: str = "zeros",
) -> list[nn.Module]:
    made = nn.Conv2d(
        weight.shape[1] * groups,
        weight.shape[0],
        (weight.shape[2], weight.shape[3]),
        plain_size(stride),
        padding if isinstance(padding, str) else plain_size(padding),
        plain_size(dilation),
        groups,
        bias is not None,
        mode,  # type: ignore[arg-type]
    )
    return with_values(made, weight=weight, bias=bias)


def _conv1d(before: Shape, after: Shape, weight: torch.Tensor, *args: Any, **options: Any) -> list[nn.Module]:
    return _ROW(before, after, weight[:, :, None], *args, **options)


_ROW = of_rows(_conv2d)
_OPTIONS = ("weight", "bias", "stride", "padding", "dilation", "groups", "padding_mode")
CONV2D = Kind(
    {nn.Conv2d: with_attributes(_conv2d, *_OPTIONS), nn.Conv1d: with_attributes(_conv1d, *_OPTIONS)},
    {F.conv2d: _conv2d, F.conv1d: _conv1d},
    learned=True,
)
