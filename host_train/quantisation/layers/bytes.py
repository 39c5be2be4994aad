"""Bytes of sums that no activation follows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from host_train.layers.about import about
from host_train.quantisation.fake import fake_quantise_bytes
from host_train.quantisation.fixed_point import fixed_point
from host_train.quantisation.layers.rules import integer_layer, quantised, role
from host_train.quantisation.layers.state import ByteGrid, Grid, Role, Values
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import Layer, Requantisation


class Bytes(nn.Identity):
    """The layer that `fold` puts where sums become bytes without an activation."""


class QuantisedBytes(nn.Module):
    """Rounds to one of the values that bytes have, not below that of the byte `low`.

    Parameters
    ----------
    step : float
        Real value of one unit of the output byte.
    zero_point : int
        The byte that stands for 0.
    low : int
        The least byte.

    Examples
    --------
    >>> QuantisedBytes(0.5, 100)(torch.tensor([-1000.0, -0.6, 0.6, 1000.0])).tolist()
    [-50.0, -0.5, 0.5, 77.5]
    """

    step: torch.Tensor
    zero_point: torch.Tensor
    low: torch.Tensor

    def __init__(self, step: float = 1.0, zero_point: int = 0, low: int = 0) -> None:
        super().__init__()
        self.register_buffer("step", torch.tensor(float(step)))
        self.register_buffer("zero_point", torch.tensor(zero_point))
        self.register_buffer("low", torch.tensor(low))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return fake_quantise_bytes(values, self.step, int(self.zero_point), int(self.low))


def finished(behind: Values, given: Values, grid: ByteGrid, low: int = 0) -> tuple[Layer, Values]:
    """The layer whose sums these are, with its requantisation, and the bytes behind it."""
    if given.sums_of is None:
        raise NetworkError("an activation is over bytes, not over sums; give what fold and calibrate make of the model")
    step = np.array([grid.step])
    with about(given.sums_of.name):
        constants = Requantisation(*fixed_point(given.unit / step), grid.zero_point, low)
        made = replace(given.sums_of, requantisation=constants)  # type: ignore[arg-type]
    return made, replace(behind, source=made.name, unit=step, zero_point=grid.zero_point, sums_of=None)


@role.register
def _(layer: Bytes, name: str) -> Role:
    return Role.ACTIVATION


@quantised.register
def _(layer: Bytes, grid: Grid) -> nn.Module:
    return QuantisedBytes(grid.output.step, grid.output.zero_point)


@integer_layer.register
def _(layer: QuantisedBytes, name: str, behind: Values, given: Values) -> tuple[Layer, Values]:
    return finished(behind, given, ByteGrid(float(layer.step), int(layer.zero_point)), int(layer.low))
