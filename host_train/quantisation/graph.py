"""Layers as a graph: a Sequential of which a layer may take what others than the one before it give."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from host_train.quantisation.sequential import every_layer
from pynq_cnn.errors import NetworkError
from pynq_cnn.model.layers import INPUT


class LayerGraph(nn.Sequential):
    """Layers in an order in which they can be computed; the last gives the output.

    Parameters
    ----------
    layers : mapping of str to torch.nn.Module
        By name, in order.
    takes : mapping of str to sequence of str, optional
        The layers whose outputs one takes, or "input", where that is not the one before it alone.

    Raises
    ------
    NetworkError
        If a layer takes what is not before it.

    Examples
    --------
    >>> from host_train.layers.join import Add
    >>> graph = LayerGraph({"relu": nn.ReLU(), "sum": Add()}, {"sum": ("relu", "input")})
    >>> graph(torch.tensor([[-1.0, 2.0]])).tolist()
    [[-1.0, 4.0]]
    """

    def __init__(self, layers: Mapping[str, nn.Module], takes: Mapping[str, Sequence[str]] | None = None) -> None:
        super().__init__(OrderedDict(layers))
        self._takes: dict[str, tuple[str, ...]] = {}
        before = INPUT
        known = {INPUT}
        for name in layers:
            wanted = tuple((takes or {}).get(name, (before,)))
            missing = next((one for one in wanted if one not in known), None)
            if missing is not None:
                raise NetworkError(f"{name} takes {missing}, which is not before it", name)
            if wanted != (before,):
                self._takes[name] = wanted
            known.add(name)
            before = name

    def __getitem__(self, idx: Any) -> Any:
        if isinstance(idx, slice) and self._takes:
            raise NetworkError("a graph of layers cannot be cut as a list can; take its layers one by one")
        return super().__getitem__(idx)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        given = values
        for _, _, _, gave in walk(self, given):
            values = gave
        return values


def inputs_of(model: nn.Module) -> dict[str, tuple[str, ...]]:
    """The layers whose outputs each layer of a graph, or of a Sequential, takes; "input" is the network's."""
    takes = model._takes if isinstance(model, LayerGraph) else {}
    names = [name for name, _ in every_layer(model)]
    return {name: takes.get(name, (before,)) for name, before in zip(names, [INPUT, *names])}


def is_chain(model: nn.Sequential) -> bool:
    """Whether every layer takes what the one before it gives, and nothing else."""
    return not isinstance(model, LayerGraph) or not model._takes


def walk(
    model: nn.Sequential, values: torch.Tensor
) -> Iterator[tuple[str, nn.Module, tuple[torch.Tensor, ...], torch.Tensor]]:
    """Compute a graph, or a Sequential, and tell of each layer its name, itself, what it was given and what it gave.

    Examples
    --------
    >>> [(name, gave.tolist()) for name, _, _, gave in walk(nn.Sequential(nn.ReLU()), torch.tensor([-1.0]))]
    [('0', [0.0])]
    """
    inputs = inputs_of(model)
    last = {taken: name for name, wanted in inputs.items() for taken in wanted}
    held = {INPUT: values}
    for name, layer in every_layer(model):
        given = tuple(held[taken] for taken in inputs[name])
        held[name] = layer(*given)
        for taken in set(inputs[name]):
            if last[taken] == name:
                del held[taken]  # of a large network only what is still needed is kept
        yield name, layer, given, held[name]
