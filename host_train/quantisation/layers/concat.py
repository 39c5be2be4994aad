"""Concatenation: of bytes of one step and zero point."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from host_train.layers.join import Concat
from host_train.quantisation.layers.rules import integer_layer, quantised, role
from host_train.quantisation.layers.state import Grid, Role, Values
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import Concat as IntegerConcat


@role.register
def _(layer: Concat, name: str) -> Role:
    return Role.CONCATENATION


@quantised.register
def _(layer: Concat, grid: Grid) -> nn.Module:
    return layer


@integer_layer.register
def _(layer: Concat, name: str, behind: Values, *given: Values) -> tuple[IntegerConcat, Values]:
    grids = {(float(one.unit[0]), one.zero_point) for one in given}
    if len(grids) != 1 or any(one.sums_of is not None or one.spec is not None for one in given):
        raise NetworkError(f"{name} must join bytes of one step; give what fold and calibrate make of the model")
    first = given[0].image
    if any(one.image[1:] != first[1:] for one in given):
        raise NetworkError(
            f"{name} joins flattened images of {' and '.join(str(one.image) for one in given)}; bring them to one"
            " height and width before it"
        )
    image = (sum(one.image[0] for one in given), *first[1:])
    made = IntegerConcat(name, tuple(one.source for one in given))
    return made, replace(behind, image=image)
