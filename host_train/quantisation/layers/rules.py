"""The questions that quantisation asks of a layer, answered by its kind: each registers itself in its own file."""

from __future__ import annotations

import math
from functools import singledispatch
from typing import Any

import torch
from torch import nn

from host_train.layers.scale import ChannelScale
from host_train.layers.select import Select
from host_train.quantisation.layers.state import Block, Grid, Role, Values
from host_train.reason import reason_of
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import Layer


def shape_behind(layer: nn.Module, name: str, *given: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of what `layer` gives for one image, for values of the shapes `given`; `NetworkError` if it takes none."""
    with torch.no_grad():
        try:
            return tuple(layer(*(torch.zeros(1, *shape) for shape in given)).shape[1:])
        except RuntimeError as error:
            shapes = " and ".join(map(str, given))
            raise NetworkError(f"{name} does not take an input of shape {shapes}: {reason_of(error)}") from error


@singledispatch
def check_options(layer: nn.Module, name: str) -> None:
    """Refuse options that the accelerator does not have."""


@singledispatch
def role(layer: nn.Module, name: str) -> Role:
    """The role of a layer in a graph; `NetworkError` if it cannot be mapped."""
    raise NetworkError(f"{name} is a {type(layer).__name__}, which cannot be mapped; use {mapped()}", name)


@singledispatch
def prepared(layer: nn.Module) -> nn.Module:
    """A layer, a copy of its own, in the form in which it is folded."""
    return layer


@singledispatch
def as_scale(layer: nn.Module) -> ChannelScale:
    """A layer of the role SCALE as what it does in evaluation mode."""
    raise NetworkError(f"a {type(layer).__name__} does not scale channels")


@singledispatch
def scale_outputs(layer: nn.Module, scale: ChannelScale) -> bool:
    """Change the weights of a layer so that its output is scaled; whether that is done."""
    return False


@singledispatch
def scale_inputs(layer: nn.Module, scale: ChannelScale) -> bool:
    """Change the weights of a layer so that it does to its input what `scale` would; whether that is done."""
    return False


@singledispatch
def input_reach(layer: nn.Module, channels: int) -> torch.Tensor | None:
    """How large the weights for each channel of a layer's input are beside the largest of their output, at most.

    Returns
    -------
    torch.Tensor or None
        float64 [channels], 0 to 1; 0 also where a channel's weights share their step with no other. None if inputs
        cannot be scaled by channel.
    """
    return None


@singledispatch
def absorbed(layer: nn.Module, user: nn.Module) -> nn.Module | None:
    """One layer that does as much as `layer` and `user` behind it; None if no single layer does."""
    return None


@singledispatch
def select_inputs(layer: nn.Module, select: Select) -> nn.Module | None:
    """A layer that sees the input of `select` and gives what `layer` gives behind it; None if there is none."""
    return None


@singledispatch
def takes_skip(layer: nn.Module) -> bool:
    """Whether another tensor can be added to the sums of a layer."""
    return False


@singledispatch
def takes_image(layer: nn.Module) -> bool:
    """Whether a layer can take the bytes of the network's input, whose steps and zero points differ by channel."""
    return False


@singledispatch
def bounds(layer: nn.Module) -> tuple[float, float]:
    """The least and the largest value that an activation lets through."""
    return -math.inf, math.inf


@singledispatch
def quantised(layer: nn.Module, grid: Grid) -> nn.Module:
    """A folded layer on the integers' grid, in floating point."""
    raise NetworkError(f"a {type(layer).__name__} is not folded")


@singledispatch
def integer_layer(layer: nn.Module, name: str, behind: Values, *given: Values) -> tuple[Layer | None, Values]:
    """A quantised layer in integers, and the values behind it.

    Parameters
    ----------
    layer : torch.nn.Module
        The layer.
    name : str
        Its name.
    behind : Values
        Its output, with the shapes that PyTorch gives it, and for the rest as the first of `given`.
    *given : Values
        Its inputs.

    Returns
    -------
    Layer or None
        Of this name; or the earlier one that it finishes, under that one's name; None for a layer that computes
        nothing.
    Values
        Its output.
    """
    raise NetworkError(
        f"{name} is a {type(layer).__name__}, which has no integer counterpart; fold and calibrate first"
    )


@singledispatch
def add_to_blocks(layer: nn.Module, name: str, found: list[Block]) -> None:
    """Put a layer of a binary network to the blocks before it; `NetworkError` if it is out of place there."""
    where = "a binary network" if found else "front of the first binary layer"
    raise NetworkError(f"{name} is a {type(layer).__name__}, which has no place in {where}; use {mapped_to_bits()}")


def last_block(layer: nn.Module, name: str, found: list[Block]) -> Block:
    """The block that `layer` belongs to; `NetworkError` if there is none yet."""
    if not found:
        add_to_blocks.dispatch(object)(layer, name, found)
    return found[-1]


@singledispatch
def by_channel(layer: nn.Module, values: torch.Tensor) -> torch.Tensor:
    """Values [n, channels] after a function of single channels."""
    return layer(values)


def _has_rule(rule: Any, layer: nn.Module) -> bool:
    return rule.dispatch(type(layer)) is not rule.dispatch(object)


def is_folded(layer: nn.Module) -> bool:
    """Whether `layer` is of a kind that `fold` leaves."""
    return _has_rule(quantised, layer)


def is_scale(layer: nn.Module) -> bool:
    """Whether `layer` does to every channel what a `ChannelScale` does."""
    return _has_rule(as_scale, layer)


def gives_sums(layer: nn.Module, name: str) -> bool:
    """Whether an activation must make bytes of what a folded layer gives."""
    return role(layer, name) in (Role.SUMS, Role.SCALE, Role.ADDITION)


def _names(rule: Any) -> str:
    """Those that people write: no layers that only `fold` makes."""
    kinds = (kind for kind in rule.registry if kind not in (object, ChannelScale))
    names = sorted(kind.__name__ for kind in kinds if rule is not role or kind.__module__.startswith("torch."))
    return f"{', '.join(names[:-1])} and {names[-1]}"


def mapped() -> str:
    """The layers that can be mapped to bytes, for messages."""
    return _names(role)


def mapped_to_bits() -> str:
    """The layers of binary networks, for messages."""
    return _names(add_to_blocks)
