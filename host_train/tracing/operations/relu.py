"""ReLU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from host_train.tracing.operations.kind import Kind, Shape


def _relu(before: Shape, after: Shape, inplace: bool = False) -> list[nn.Module]:
    return [nn.ReLU()]


def _module(layer: nn.ReLU, before: Shape, after: Shape) -> list[nn.Module]:
    return [nn.ReLU()]


RELU = Kind(
    {nn.ReLU: _module},
    dict.fromkeys((F.relu, torch.relu, torch.relu_, F.relu_), _relu),
    dict.fromkeys(("relu", "relu_"), _relu),
    single=True,
)
