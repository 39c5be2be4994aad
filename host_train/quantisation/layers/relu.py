"""ReLU: it finishes the layer before it, whose sums become bytes."""

from __future__ import annotations

import math

import torch
from torch import nn

from host_train.quantisation.fake import fake_quantise_bytes
from host_train.quantisation.layers.bytes import QuantisedBytes, finished
from host_train.quantisation.layers.rules import bounds, integer_layer, quantised, role
from host_train.quantisation.layers.state import ByteGrid, Grid, Role, Values
from pynq_cnn.model import Layer


class QuantisedReLU(nn.Module):
    """ReLU whose output is one of 256 multiples of `step`.

    Parameters
    ----------
    step : float
        Real value of one unit of the output byte.

    Examples
    --------
    >>> QuantisedReLU(0.5)(torch.tensor([-1.0, 0.6, 1000.0])).tolist()
    [0.0, 0.5, 127.5]
    """

    step: torch.Tensor

    def __init__(self, step: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("step", torch.tensor(float(step)))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return fake_quantise_bytes(values, self.step)


@role.register
def _(layer: nn.ReLU, name: str) -> Role:
    return Role.ACTIVATION


@bounds.register
def _(layer: nn.ReLU) -> tuple[float, float]:
    return 0.0, math.inf


@quantised.register
def _(layer: nn.ReLU, grid: Grid) -> nn.Module:
    """Bytes that share their zero point with others that go below 0 have one as well."""
    step, zero_point = grid.output.step, grid.output.zero_point
    return QuantisedBytes(step, zero_point, zero_point) if zero_point else QuantisedReLU(step)


@integer_layer.register
def _(layer: QuantisedReLU, name: str, behind: Values, given: Values) -> tuple[Layer, Values]:
    return finished(behind, given, ByteGrid(float(layer.step)))
