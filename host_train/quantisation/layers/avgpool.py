"""Average pooling: in integers the sum over the window; the division is in what follows the sum."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from host_train.quantisation.layers.rules import check_options, integer_layer, quantised, role
from host_train.quantisation.layers.state import Grid, Role, Values
from host_train.quantisation.sequential import pair
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import AvgPool2d

Averaging = nn.AvgPool2d | nn.AdaptiveAvgPool2d


@check_options.register
def _(layer: nn.AvgPool2d, name: str) -> None:
    if any(pair(layer.padding)) and not layer.count_include_pad and layer.divisor_override is None:
        raise NetworkError(
            f"{name} is {layer}, whose windows at the edges are divided by less; use count_include_pad=True, or"
            " no padding"
        )
    if layer.ceil_mode:
        raise NetworkError(f"{name} is {layer}, whose windows past the edge are divided by less; use ceil_mode=False")


@check_options.register
def _(layer: nn.AdaptiveAvgPool2d, name: str) -> None:
    if layer.output_size not in (1, (1, 1)):
        raise NetworkError(f"{name} averages to {layer.output_size}; only to 1 can be mapped, or use AvgPool2d")


@role.register(nn.AvgPool2d)
@role.register(nn.AdaptiveAvgPool2d)
def _(layer: Averaging, name: str) -> Role:
    return Role.SUMS


@quantised.register(nn.AvgPool2d)
@quantised.register(nn.AdaptiveAvgPool2d)
def _(layer: Averaging, grid: Grid) -> nn.Module:
    return layer


@integer_layer.register(nn.AvgPool2d)
@integer_layer.register(nn.AdaptiveAvgPool2d)
def _(layer: Averaging, name: str, behind: Values, given: Values) -> tuple[AvgPool2d, Values]:
    size, stride, padding = pair(given.image[1:]), (1, 1), (0, 0)
    divisor = None
    if isinstance(layer, nn.AvgPool2d):
        size, stride, padding = pair(layer.kernel_size), pair(layer.stride), pair(layer.padding)
        divisor = layer.divisor_override
    area = size[0] * size[1]
    made = AvgPool2d(
        name, size, stride, bias=-given.zero_point * area, padding=(*padding, *padding), inputs=(given.source,)
    )
    unit = given.unit / (area if divisor is None else divisor)
    return made, replace(behind, unit=unit, zero_point=0, spec=None, sums_of=made)
