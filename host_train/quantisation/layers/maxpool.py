"""Max pooling."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from host_train.quantisation.layers.norm import Norm
from host_train.quantisation.layers.rules import (
    add_to_blocks,
    check_options,
    follow,
    integer_layer,
    last_block,
    quantised,
)
from host_train.quantisation.layers.state import Block, Grid, Place, Values
from host_train.quantisation.sequential import pair
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import MaxPool2d


@check_options.register
def _(layer: nn.MaxPool2d, name: str) -> None:
    for field in ("kernel_size", "stride", "padding", "dilation"):
        value = getattr(layer, field)
        sides = pair(value)
        wanted = {"padding": 0, "dilation": 1}.get(field, sides[0])
        if sides != (wanted, wanted):
            raise NetworkError(f"{name} has {field}={value}; max pooling must be square, without padding and dilation")
    if layer.ceil_mode:
        raise NetworkError(f"{name} has ceil_mode=True; rows that fill no window are dropped, so use ceil_mode=False")


@follow.register
def _(layer: nn.MaxPool2d, name: str, given: Place) -> Place:
    pooled = given.pooled or not given.last
    return replace(given, last=name, logits_of="", pooled=pooled, foldable=False)


@quantised.register
def _(layer: nn.MaxPool2d, grid: Grid) -> nn.Module:
    return layer


@integer_layer.register
def _(layer: nn.MaxPool2d, name: str, behind: Values, given: Values) -> tuple[MaxPool2d, Values]:
    return MaxPool2d(name, pair(layer.kernel_size), pair(layer.stride)), behind


@add_to_blocks.register
def _(layer: nn.MaxPool2d, name: str, found: list[Block]) -> None:
    block = last_block(layer, name, found)
    if any(isinstance(one, Norm) for one in block.after):
        raise NetworkError(
            f"{name} pools what is pooled already before a batch norm; put all pooling before it, or all behind it"
        )
    block.pools.append((name, layer))
