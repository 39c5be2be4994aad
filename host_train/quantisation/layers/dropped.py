"""Layers that change nothing in evaluation mode: dropout and Identity."""

from __future__ import annotations

from torch import nn

from host_train.quantisation.layers.rules import fold_layer, follow
from host_train.quantisation.layers.state import Place

Dropped = nn.Dropout | nn.Dropout2d | nn.Identity


@follow.register(nn.Dropout)
@follow.register(nn.Dropout2d)
@follow.register(nn.Identity)
def _(layer: Dropped, name: str, given: Place) -> Place:
    return given


@fold_layer.register(nn.Dropout)
@fold_layer.register(nn.Dropout2d)
@fold_layer.register(nn.Identity)
def _(layer: Dropped, name: str, layers: list[tuple[str, nn.Module]]) -> None:
    """It is removed."""
