"""A Sequential, opened; and sizes as PyTorch reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from torch import nn


def pair(value: Any) -> tuple[int, int]:
    """(vertical, horizontal), as PyTorch reads one number, or one or two in a sequence."""
    values = tuple(int(side) for side in value) if isinstance(value, Iterable) else (int(value),)
    return (values[0], values[-1])


def every_layer(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Names and layers of a Sequential; `named_children` would leave out the second place of a layer that is there
    twice.
    """
    return [(name, layer) for name, layer in model._modules.items() if layer is not None]


def flat(model: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The layers of a Sequential by their full names, nested ones opened but for those with a forward of their own."""
    for name, layer in every_layer(model):
        if isinstance(layer, nn.Sequential) and type(layer).forward is nn.Sequential.forward:
            yield from flat(layer, f"{prefix}{name}.")
        else:
            yield prefix + name, layer
