"""Max pooling."""

from __future__ import annotations

from torch import nn

from host_train.quantisation.layers.norm import Norm
from host_train.quantisation.layers.rules import (
    add_to_blocks,
    check_options,
    integer_layer,
    last_block,
    quantised,
    role,
    takes_image,
)
from host_train.quantisation.layers.state import Block, Grid, Role, Values
from host_train.quantisation.sequential import pair
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import MaxPool2d


@check_options.register
def _(layer: nn.MaxPool2d, name: str) -> None:
    if pair(layer.dilation) != (1, 1):
        raise NetworkError(f"{name} has dilation={layer.dilation}; max pooling must be without dilation")


@role.register
def _(layer: nn.MaxPool2d, name: str) -> Role:
    return Role.MOVING


@takes_image.register
def _(layer: nn.MaxPool2d) -> bool:
    return True


@quantised.register
def _(layer: nn.MaxPool2d, grid: Grid) -> nn.Module:
    return layer


@integer_layer.register
def _(layer: nn.MaxPool2d, name: str, behind: Values, given: Values) -> tuple[MaxPool2d, Values]:
    size, stride, (top, left) = pair(layer.kernel_size), pair(layer.stride), pair(layer.padding)
    # With ceil_mode there are windows that reach past the last row or column.
    wanted, sides = behind.shape[1:], given.image[1:]
    bottom, right = (
        max(pad, (count - 1) * step + side - pad - have) if layer.ceil_mode else pad
        for pad, count, step, side, have in zip((top, left), wanted, stride, size, sides)
    )
    made = MaxPool2d(name, size, stride, (top, left, bottom, right), (given.source,))
    return made, behind


@add_to_blocks.register
def _(layer: nn.MaxPool2d, name: str, found: list[Block]) -> None:
    block = last_block(layer, name, found)
    for field, wanted in (("padding", 0), ("ceil_mode", False)):
        if getattr(layer, field) not in (wanted, (wanted, wanted)):
            raise NetworkError(f"{name} has {field}={getattr(layer, field)}; in a binary network leave it out")
    if any(isinstance(one, Norm) for one in block.after):
        raise NetworkError(
            f"{name} pools what is pooled already before a batch norm; put all pooling before it, or all behind it"
        )
    block.pools.append((name, layer))
