"""Hardtanh, ReLU6 and other clamps: bytes that end where the clamp does."""

from __future__ import annotations

import math

from torch import nn

from host_train.quantisation.fake import ACTIVATION_MAX
from host_train.quantisation.layers.bytes import QuantisedBytes
from host_train.quantisation.layers.rules import bounds, quantised, role
from host_train.quantisation.layers.state import Grid, Role


@role.register
def _(layer: nn.Hardtanh, name: str) -> Role:
    return Role.ACTIVATION


@bounds.register
def _(layer: nn.Hardtanh) -> tuple[float, float]:
    return float(layer.min_val), float(layer.max_val)


@quantised.register
def _(layer: nn.Hardtanh, grid: Grid) -> nn.Module:
    """The byte 255 is at the upper bound already, or below where values never come so far."""
    step, zero_point = grid.output.step, grid.output.zero_point
    low = 0 if math.isinf(layer.min_val) else zero_point + round(layer.min_val / step)
    return QuantisedBytes(step, zero_point, min(max(low, 0), ACTIVATION_MAX))
