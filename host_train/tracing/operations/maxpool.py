"""Max pooling."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from host_train.tracing.operations.kind import Kind, Shape, plain_size


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
    return [
        nn.MaxPool2d(
            plain_size(kernel_size), plain_size(stride), plain_size(padding), plain_size(dilation), ceil_mode=ceil_mode
        )
    ]


def _module(layer: nn.MaxPool2d, before: Shape, after: Shape) -> list[nn.Module]:
    return _max_pool(before, after, layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode)


MAXPOOL = Kind({nn.MaxPool2d: _module}, dict.fromkeys((F.max_pool2d, torch.max_pool2d), _max_pool))
