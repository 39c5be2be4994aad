"""Batch norm."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from host_train.tracing.operations.kind import Kind, Shape, with_values, with_weights
from pynq_cnn.errors import NetworkError


def _norm(layer: nn.BatchNorm1d | nn.BatchNorm2d, before: Shape, after: Shape) -> list[nn.Module]:
    kind = nn.BatchNorm1d if len(before) == 2 else nn.BatchNorm2d
    made = kind(layer.num_features, layer.eps, layer.momentum, layer.affine, layer.running_mean is not None)
    return with_weights(made, layer)


def _batch_norm(
    before: Shape,
    after: Shape,
    running_mean: torch.Tensor | None = None,
    running_var: torch.Tensor | None = None,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *more: Any,
) -> list[nn.Module]:
    if training or running_mean is None or running_var is None:
        raise NetworkError("this batch norm computes its statistics anew; use the module nn.BatchNorm2d")
    made = (nn.BatchNorm1d if len(before) == 2 else nn.BatchNorm2d)(len(running_mean), eps)
    return with_values(made, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)


def aten_batch_norm(
    before: Shape, after: Shape, weight: Any, bias: Any, mean: Any, var: Any, *rest: Any
) -> list[nn.Module]:
    """In the order of arguments that exported programs have."""
    return _batch_norm(before, after, mean, var, weight, bias, *rest)


NORM = Kind(dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d), _norm), {F.batch_norm: _batch_norm}, learned=True)
