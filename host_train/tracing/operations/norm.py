"""Batch norm."""

from __future__ import annotations

from torch import nn

from host_train.tracing.operations.kind import Kind, Shape, with_weights


def _norm(layer: nn.BatchNorm1d | nn.BatchNorm2d, before: Shape, after: Shape) -> list[nn.Module]:
    kind = nn.BatchNorm1d if isinstance(layer, nn.BatchNorm1d) else nn.BatchNorm2d
    made = kind(layer.num_features, layer.eps, layer.momentum, layer.affine, layer.running_mean is not None)
    return with_weights(made, layer)


NORM = Kind(dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d), _norm), learned=True)
