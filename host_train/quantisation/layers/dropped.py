"""Layers that change nothing in evaluation mode: dropout and Identity."""

from __future__ import annotations

from torch import nn

from host_train.quantisation.layers.rules import role
from host_train.quantisation.layers.state import Role

Dropped = nn.Dropout | nn.Dropout2d | nn.Identity


@role.register(nn.Dropout)
@role.register(nn.Dropout2d)
@role.register(nn.Identity)
def _(layer: Dropped, name: str) -> Role:
    return Role.NOTHING
