"""Flattening: another shape in PyTorch, nothing in integers."""

from __future__ import annotations

from torch import nn

from host_train.quantisation.layers.rules import (
    add_to_blocks,
    check_options,
    integer_layer,
    quantised,
    role,
    takes_image,
)
from host_train.quantisation.layers.state import Block, Grid, Role, Values
from pynq_cnn.errors import NetworkError


@check_options.register
def _(layer: nn.Flatten, name: str) -> None:
    if (layer.start_dim, layer.end_dim) != (1, -1):
        raise NetworkError(
            f"{name} flattens dimensions {layer.start_dim} to {layer.end_dim}; only 1 to -1 can be mapped"
        )


@role.register
def _(layer: nn.Flatten, name: str) -> Role:
    return Role.FLATTENING


@takes_image.register
def _(layer: nn.Flatten) -> bool:
    return True


@quantised.register
def _(layer: nn.Flatten, grid: Grid) -> nn.Module:
    return layer


@integer_layer.register
def _(layer: nn.Flatten, name: str, behind: Values, given: Values) -> tuple[None, Values]:
    return None, behind


@add_to_blocks.register
def _(layer: nn.Flatten, name: str, found: list[Block]) -> None:
    """Blocks are of convolutions over an image and then of rows; the layers themselves tell which."""
