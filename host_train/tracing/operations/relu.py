"""ReLU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from host_train.tracing.operations.kind import Kind, Shape, with_attributes


def _relu(before: Shape, after: Shape, inplace: bool = False) -> list[nn.Module]:
    return [nn.ReLU()]


RELU = Kind(
    {nn.ReLU: with_attributes(_relu)},
    dict.fromkeys((F.relu, torch.relu, torch.relu_, F.relu_), _relu),
    dict.fromkeys(("relu", "relu_"), _relu),
    single=True,
)
