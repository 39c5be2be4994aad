"""Fully connected layers."""

from __future__ import annotations

import operator

import torch
import torch.nn.functional as F
from torch import nn

from host_train.tracing.operations.kind import Kind, Shape, with_attributes, with_values
from pynq_cnn.errors import NetworkError


def check_features(before: Shape) -> None:
    """Refuse an input that is not flattened."""
    if len(before) != 2:
        raise NetworkError(
            f"it takes [n, features], not {before}; flatten each image before it, torch.flatten(x, 1), or use"
            " nn.Conv2d(channels, outputs, 1), which is a Linear at each pixel"
        )


def _linear(before: Shape, after: Shape, weight: torch.Tensor, bias: torch.Tensor | None = None) -> list[nn.Module]:
    check_features(before)
    return with_values(nn.Linear(weight.shape[1], weight.shape[0], bias is not None), weight=weight, bias=bias)


def _product(before: Shape, after: Shape, matrix: torch.Tensor) -> list[nn.Module]:
    if matrix.ndim != 2:
        raise NetworkError("only the product with a matrix [features, outputs] can be mapped; use the module nn.Linear")
    return _linear(before, after, matrix.t())


LINEAR = Kind(
    {nn.Linear: with_attributes(_linear, "weight", "bias")},
    {F.linear: _linear, **dict.fromkeys((operator.matmul, torch.matmul, torch.mm), _product)},
    dict.fromkeys(("matmul", "mm"), _product),
    learned=True,
)
