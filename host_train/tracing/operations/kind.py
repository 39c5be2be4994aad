"""A kind of operation: its names in a model, and the layers that each call becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

import torch
from torch import nn

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


IN_A_ROW = {"kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1}  # by size, that of the one row


def of_rows(handler: Handler) -> Handler:
    """The handler for rows, images of height 1, that `handler` is for images: each size is one of widths.

    Examples
    --------
    >>> def told(before, after, kernel_size, stride=None, padding=0):
    ...     return before, after, kernel_size, stride, padding
    >>> of_rows(told)((2, 3, 8), (2, 3, 4), (2,), padding=1)
    ((2, 3, 1, 8), (2, 3, 1, 4), (1, 2), None, (0, 1))
    """
    takes = signature(handler)

    def made(before: Shape, after: Shape, *args: Any, **options: Any) -> list[nn.Module]:
        shapes = [(*shape[:-1], 1, *shape[-1:]) for shape in (before, after)]
        given = takes.bind(*shapes, *args, **options).arguments
        for name, one in IN_A_ROW.items():
            size = given.get(name)
            if size is not None and not isinstance(size, str):
                width = [size] if isinstance(size, int) else list(size)
                given[name] = (one, int(width[0])) if width else None
        return handler(**given)

    return made


def with_attributes(handler: Handler, *names: str) -> Handler:
    """The handler for modules that calls `handler` with these attributes."""

    def made(layer: nn.Module, before: Shape, after: Shape) -> list[nn.Module]:
        return handler(before, after, *(getattr(layer, name) for name in names))

    return made


def plain_size(value: Any) -> Any:
    """A size as modules keep it, an integer or two; None for none, which PyTorch also writes as an empty sequence."""
    if value is None or isinstance(value, int):
        return value
    sides = tuple(int(side) for side in value)
    return pair(sides) if sides else None
