"""Fully connected layers."""

from __future__ import annotations

from torch import nn

from host_train.tracing.operations.kind import Kind, Shape, with_weights
from pynq_cnn.errors import NetworkError


def check_features(before: Shape) -> None:
    """Refuse an input that is not flattened."""
    if len(before) != 2:
        raise NetworkError(f"it takes [n, features], not {before}; flatten each image before it: torch.flatten(x, 1)")


def _linear(layer: nn.Linear, before: Shape, after: Shape) -> list[nn.Module]:
    check_features(before)
    return with_weights(nn.Linear(layer.in_features, layer.out_features, layer.bias is not None), layer)


LINEAR = Kind({nn.Linear: _linear}, learned=True)
