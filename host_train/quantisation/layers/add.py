"""Addition: to the sums of the first layer that it takes, before anything makes bytes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from host_train.layers.join import Add
from host_train.quantisation.fake import SKIP_MAX
from host_train.quantisation.layers.rules import integer_layer, quantised, role
from host_train.quantisation.layers.state import Grid, Role, Values
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import Layer
from pynq_cnn.model.layers.skip import Skip


@role.register
def _(layer: Add, name: str) -> Role:
    return Role.ADDITION


@quantised.register
def _(layer: Add, grid: Grid) -> nn.Module:
    return layer


@integer_layer.register
def _(layer: Add, name: str, behind: Values, sums: Values, added: Values) -> tuple[Layer, Values]:
    if sums.sums_of is None or added.sums_of is not None:
        raise NetworkError(f"{name} must add bytes to sums; give what fold and calibrate make of the model")
    base: Any = sums.sums_of
    times = np.clip(np.rint(added.unit / sums.unit), 0, SKIP_MAX)
    bias = base.bias.astype(np.int64) - np.broadcast_to(times.astype(np.int64), base.bias.shape) * added.zero_point
    made = replace(
        base,
        bias=bias.astype(np.int32),
        skip=Skip(times.astype(np.uint16)),
        inputs=(*base.inputs, added.source),
    )
    return made, replace(behind, image=sums.image, unit=sums.unit, zero_point=0, spec=None, sums_of=made)
