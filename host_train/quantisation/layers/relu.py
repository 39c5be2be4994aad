"""ReLU: it finishes the layer before it, whose sums become bytes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from host_train.layers.about import about
from host_train.quantisation.fake import ACTIVATION_MAX
from host_train.quantisation.fixed_point import fixed_point
from host_train.quantisation.layers.rules import fold_layer, follow, gives_bytes, integer_layer, quantised
from host_train.quantisation.layers.state import Grid, Place, Values
from host_train.quantisation.layers.sums import Summing
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import Layer, Requantisation


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
        return torch.fake_quantize_per_tensor_affine(values, self.step.item(), 0, 0, ACTIVATION_MAX)


@follow.register
def _(layer: nn.ReLU, name: str, given: Place) -> Place:
    if not given.sums_of:
        raise NetworkError(f"{name} does not follow a Conv2d or Linear; remove it", name)
    return Place(last=name, image=False)


@fold_layer.register
def _(layer: nn.ReLU, name: str, layers: list[tuple[str, nn.Module]]) -> None:
    place = len(layers)
    while not isinstance(layers[place - 1][1], Summing):
        place -= 1  # over max pooling and flattening: the maximum of what is not below 0 is that of all, or 0
    layers.insert(place, (name, nn.ReLU()))


@gives_bytes.register
def _(layer: nn.ReLU) -> bool:
    return True


@quantised.register
def _(layer: nn.ReLU, grid: Grid) -> nn.Module:
    return QuantisedReLU(1.0 if grid.step is None else grid.step)


@integer_layer.register
def _(layer: QuantisedReLU, name: str, behind: Values, given: Values) -> tuple[Layer, Values]:
    if given.sums_of is None:
        raise NetworkError(f"{name} is a ReLU over bytes; remove it")
    step = np.array([float(layer.step)])
    with about(given.sums_of.name):
        finished = replace(given.sums_of, requantisation=Requantisation(*fixed_point(given.unit / step)))  # type: ignore[arg-type]
    return finished, replace(behind, unit=step, sums_of=None)
