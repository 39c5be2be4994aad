"""Convolution, of images and of rows, which are images of height 1."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from host_train.tracing.operations.kind import Kind, Shape, in_a_row, plain_size, with_values


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


def _conv1d(
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
    around = padding if isinstance(padding, str) else (0, in_a_row(padding)[1])
    options = in_a_row(stride), around, in_a_row(dilation), groups, mode
    return _conv2d(before, after, weight[:, :, None], bias, *options)


def _options(layer: nn.Conv1d | nn.Conv2d) -> tuple[Any, ...]:
    sizes = layer.stride, layer.padding, layer.dilation, layer.groups, layer.padding_mode
    return (layer.weight, layer.bias, *sizes)


def _module(layer: nn.Conv2d, before: Shape, after: Shape) -> list[nn.Module]:
    return _conv2d(before, after, *_options(layer))


def _row_module(layer: nn.Conv1d, before: Shape, after: Shape) -> list[nn.Module]:
    return _conv1d(before, after, *_options(layer))


CONV2D = Kind({nn.Conv2d: _module, nn.Conv1d: _row_module}, {F.conv2d: _conv2d, F.conv1d: _conv1d}, learned=True)
