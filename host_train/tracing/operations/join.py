"""Several tensors in one: sums, and channels side by side."""

from __future__ import annotations

import torch
from torch import nn

from host_train.layers.join import Add, Concat
from host_train.tracing.operations.kind import Kind, Shape
from pynq_cnn.errors import NetworkError


def _cat(before: Shape, after: Shape, dim: int = 0) -> list[nn.Module]:
    if dim % len(before) != 1:
        raise NetworkError(f"joining along dimension {dim} cannot be mapped; along channels, dim=1, it can")
    return [Concat()]


def _add_module(layer: Add, before: Shape, after: Shape) -> list[nn.Module]:
    return [Add()]


def _concat_module(layer: Concat, before: Shape, after: Shape) -> list[nn.Module]:
    return [Concat()]


ADD = Kind({Add: _add_module})
CONCAT = Kind({Concat: _concat_module}, dict.fromkeys((torch.cat, torch.concat, torch.concatenate), _cat))
