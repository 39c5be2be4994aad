"""A kind of operation: its names in a model, and the layers that each call becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from host_train.layers.scale import ChannelScale
from host_train.quantisation.sequential import pair

Shape = tuple[int, ...]
Handler = Callable[..., list[nn.Module]]


@dataclass(frozen=True)
class Kind:
    """One kind of operation.

    A handler takes the shapes of the tensor before and after, then the call's own arguments; that of a module takes the
    module and the shapes. Each gives the layers in whose place the call is, or raises `NetworkError`.

    Parameters
    ----------
    modules : mapping of type to callable
        Modules that are taken whole, with derived ones that compute the same.
    functions : mapping of callable to callable
        Functions of torch.
    methods : mapping of str to callable
        Methods of tensors.
    learned : bool
        Whether its modules have weights.
    single : bool
        Whether every number that it gives depends on one number alone, and it leaves 0 as it is: then it does not
        matter in which order they are.
    """

    modules: Mapping[type[nn.Module], Handler] = field(default_factory=dict)
    functions: Mapping[Any, Handler] = field(default_factory=dict)
    methods: Mapping[str, Handler] = field(default_factory=dict)
    learned: bool = False
    single: bool = False


class SumOf(nn.Module):
    """The sum of what several chains of layers make of one tensor; not a layer itself.

    Parameters
    ----------
    *chains : list of torch.nn.Module
        Each one behind the other.
    """

    def __init__(self, *chains: list[nn.Module]) -> None:
        super().__init__()
        self.chains = chains


def times(factor: torch.Tensor) -> ChannelScale:
    """Every channel times a factor, float32 [channels]; with a shift of 0, as quantising it wants one."""
    return ChannelScale(factor, torch.zeros_like(factor))


def with_weights(made: nn.Module, layer: nn.Module) -> list[nn.Module]:
    """`made` with the weights of `layer` as they act, masks of pruning applied: tensors of its own on the CPU.

    Layers are made anew and not copied: hooks stay behind, so that comparing with the model finds those that change
    values.
    """
    with torch.no_grad():
        for name in [*dict(made.named_parameters()), *dict(made.named_buffers())]:
            getattr(made, name).copy_(getattr(layer, name))
    return [made.eval()]


def with_values(made: nn.Module, **values: Any) -> list[nn.Module]:
    """`made` with these parameters and buffers, as far as they are given."""
    with torch.no_grad():
        for name, value in values.items():
            if value is not None:
                getattr(made, name).copy_(value)
    return [made.eval()]


def in_a_row(size: Any) -> Any:
    """A size of one dimension as that of an image of one row.

    Examples
    --------
    >>> in_a_row(3), in_a_row((3,)), in_a_row(None)
    ((1, 3), (1, 3), None)
    """
    if size is None:
        return None
    return 1, int(size if isinstance(size, int) else tuple(size)[0])


def plain_size(value: Any) -> Any:
    """A size as modules keep it, an integer or two; None for none, which PyTorch also writes as an empty sequence."""
    if value is None or isinstance(value, int):
        return value
    sides = tuple(int(side) for side in value)
    return pair(sides) if sides else None
