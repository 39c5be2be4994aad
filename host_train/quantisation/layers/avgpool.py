"""Average pooling: in integers the sum over the window; the division is in what follows the sum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from host_train.quantisation.fake import ACTIVATION_MAX
from host_train.quantisation.fixed_point import fixed_point
from host_train.quantisation.layers.rules import check_options, follow, gives_bytes, integer_layer, quantised
from host_train.quantisation.layers.state import Grid, Place, Values
from host_train.quantisation.layers.sums import check_bytes
from host_train.quantisation.sequential import pair
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import AvgPool2d, Requantisation

Averaging = nn.AvgPool2d | nn.AdaptiveAvgPool2d


class QuantisedAvgPool2d(nn.Module):
    """Average pooling whose output is one of 256 multiples of `step`; in a last layer averages stay as they are, and
    are not of this type.

    Parameters
    ----------
    pool : torch.nn.AvgPool2d or torch.nn.AdaptiveAvgPool2d
        The pooling.
    step : float
        Real value of one unit of the output byte.

    Examples
    --------
    >>> QuantisedAvgPool2d(nn.AdaptiveAvgPool2d(1), 0.5)(torch.tensor([[[[1.0, 2.1]]]])).item()
    1.5
    """

    step: torch.Tensor

    def __init__(self, pool: nn.Module, step: float = 1.0) -> None:
        super().__init__()
        self.pool = pool
        self.register_buffer("step", torch.tensor(float(step)))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return torch.fake_quantize_per_tensor_affine(self.pool(values), self.step.item(), 0, 0, ACTIVATION_MAX)


@check_options.register
def _(layer: nn.AvgPool2d, name: str) -> None:
    if any(pair(layer.padding)) or layer.ceil_mode or layer.divisor_override is not None:
        raise NetworkError(
            f"{name} is {layer}; average pooling must be without padding, ceil_mode and divisor_override"
        )


@check_options.register
def _(layer: nn.AdaptiveAvgPool2d, name: str) -> None:
    if layer.output_size not in (1, (1, 1)):
        raise NetworkError(f"{name} averages to {layer.output_size}; only to 1 can be mapped, or use AvgPool2d")


@follow.register(nn.AvgPool2d)
@follow.register(nn.AdaptiveAvgPool2d)
def _(layer: Averaging, name: str, given: Place) -> Place:
    check_bytes(given)
    if given.image:
        raise NetworkError(
            f"{name} averages what no layer has made bytes of; put it behind a Conv2d and its ReLU", name
        )
    return Place(last=name, logits_of=name, image=False)


@gives_bytes.register(nn.AvgPool2d)
@gives_bytes.register(nn.AdaptiveAvgPool2d)
def _(layer: Averaging) -> bool:
    return True


@quantised.register(nn.AvgPool2d)
@quantised.register(nn.AdaptiveAvgPool2d)
def _(layer: Averaging, grid: Grid) -> nn.Module:
    return layer if grid.step is None else QuantisedAvgPool2d(layer, grid.step)


def _sum(pool: nn.Module, name: str, given: Values) -> tuple[AvgPool2d, np.ndarray]:
    """The sum over the window, and the real value float64 [1] of its unit, which has the division."""
    size, stride = given.image[1:], (1, 1)
    if isinstance(pool, nn.AvgPool2d):
        size, stride = pair(pool.kernel_size), pair(pool.stride)
    return AvgPool2d(name, size, stride), given.unit / (size[0] * size[1])  # type: ignore[arg-type]


@integer_layer.register(nn.AvgPool2d)
@integer_layer.register(nn.AdaptiveAvgPool2d)
def _(layer: Averaging, name: str, behind: Values, given: Values) -> tuple[AvgPool2d, Values]:
    made, unit = _sum(layer, name, given)
    return made, replace(behind, unit=unit, sums_of=made)


@integer_layer.register
def _(layer: QuantisedAvgPool2d, name: str, behind: Values, given: Values) -> tuple[AvgPool2d, Values]:
    made, unit = _sum(layer.pool, name, given)
    step = np.array([float(layer.step)])
    finished = replace(made, requantisation=Requantisation(*fixed_point(unit / step)))  # one pair for all channels
    return finished, replace(behind, unit=step)
