"""The layers of a traced model in the order in which they are computed; the first that is out of place is refused."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import nn

from host_train.layers.select import Select
from host_train.quantisation import blocks
from host_train.quantisation.draft import Draft
from host_train.quantisation.fold import check_layer
from host_train.quantisation.graph import LayerGraph
from host_train.quantisation.layers.rules import role, shape_behind
from host_train.quantisation.layers.select import one_hot
from host_train.quantisation.layers.state import Role
from host_train.quantisation.normalise import check_end
from host_train.tracing.flow import Flow, Shape
from host_train.tracing.operations.moving import unmapped_shape
from host_train.tracing.picked import needs_the_same, of_channels
from host_train.tracing.places import located
from pynq_cnn.errors import NetworkError
from pynq_cnn.model.layers import INPUT

LONGEST_NAME = 64


class Layers:
    """The layers that were found so far.

    Parameters
    ----------
    binary : bool
        Whether the model has binary layers, which must be one behind the other.
    shape : tuple of int
        (n, channels, height, width) of the images.
    """

    def __init__(self, binary: bool, shape: Shape) -> None:
        self.binary = binary
        self.images = shape[0]
        self.layers: dict[str, nn.Module] = {}
        self.inputs: dict[str, tuple[str, ...]] = {}
        self.shapes: dict[str, Shape] = {INPUT: shape[1:]}  # of what each gives for one image
        self.places: dict[str, str] = {}

    def add(self, wanted: str, layer: nn.Module, place: str, *given: str) -> str:
        """Add a layer that takes what these give.

        Returns
        -------
        str
            Its name.
        """
        name = self._unique(wanted)
        if self.binary and given != (next(reversed(self.layers), INPUT),):
            raise NetworkError("the layers of a binary network must be one behind the other; remove what branches")
        self.layers[name], self.inputs[name], self.places[name] = layer, given, place
        if self.binary:
            self._check(lambda: blocks.blocks(self.layers.items()))
        else:
            self._check(lambda: check_layer(layer, name))
        self.shapes[name] = shape_behind(layer, name, *(self.shapes[one] for one in given))
        return name

    def image(self, flow: Flow) -> str:
        """The layer that gives the numbers of [n, channels, height, width] or [n, channels, length]."""
        wanted = (flow.shape[1], 1, flow.shape[2]) if len(flow.shape) == 3 else flow.shape[1:]
        if len(wanted) != 3:
            raise self._moved(flow)
        return flow.name if flow.index is None and flow.given == wanted else self._selected(flow, wanted)

    def features(self, flow: Flow) -> str:
        """The layer that gives the numbers of [n, features]."""
        if flow.index is not None:
            pixels = math.prod(flow.given[1:])
            count = flow.shape[1]
            shapes = [(count // pixels, *flow.given[1:])] if len(flow.given) == 3 and count % pixels == 0 else []
            for shape in shapes:
                try:
                    return self._flat(self._selected(flow, shape), flow.where)
                except NetworkError:
                    pass  # perhaps single pixels
            return self._flat(self._selected(flow, (count, 1, 1)), flow.where)
        return flow.name if len(flow.given) == 1 else self._flat(flow.name, flow.where)

    def finish(self, flow: Flow) -> LayerGraph:
        """All layers that the output depends on."""
        ending = flow.ending
        if ending and not isinstance(ending.layer, nn.Sigmoid) and flow.shape[1:] != (ending.over,):
            raise NetworkError(f"{flow.where}: some values of a softmax cannot be mapped; take them in front of it")
        flow = self._one_value_each(flow)
        if flow.where and (flow.shape[0] == 1 or any(side != 1 for side in flow.shape[2:])):
            raise self._moved(flow)
        if flow.index is None and any(side != 1 for side in flow.given[1:]):
            sides = " x ".join(map(str, flow.given[1:]))
            error = f"{flow.name} is the last layer and gives {sides} pixels, not one number per class"
            remedy = "put nn.AdaptiveAvgPool2d(1), or nn.Flatten and nn.Linear, behind it"
            raise located(NetworkError(f"{error}; {remedy}", flow.name), self.places)
        if flow.index is not None:
            if len(flow.shape) != 2:
                raise self._moved(flow)
            channels = flow.of_one()
            some = (
                not self.binary
                and math.prod(flow.given[1:]) == 1
                and bool((channels >= 0).all())
                and self._can_pick(flow.name)
            )
            output = self._picked(flow.name, channels) if some else self.features(flow)
        else:
            output = flow.name
        needed, stack = set(), [output]
        while stack:
            name = stack.pop()
            if name not in needed and name != INPUT:
                needed.add(name)
                stack += self.inputs[name]
        layers = {name: layer for name, layer in self.layers.items() if name in needed}
        if self.binary:
            self._check(lambda: blocks.check_end(blocks.blocks(layers.items())))
        else:
            self._check(lambda: check_end(Draft(layers, self.inputs, output)))
        return LayerGraph(layers, self.inputs).eval()

    @staticmethod
    def _one_value_each(flow: Flow) -> Flow:
        """One value of each image as [n, 1], if it is that."""
        if len(flow.shape) == 1 and flow.index is not None:
            return replace(flow, shape=(*flow.shape, 1), index=flow.index[:, None])
        return flow

    def _can_pick(self, name: str) -> bool:
        """Whether the layer can be made for some of its channels alone, with what it takes."""
        layer, given = self.layers.get(name), self.inputs.get(name, ())
        made = None if layer is None else of_channels(layer, torch.zeros(1, dtype=torch.int64))
        if made is None or (isinstance(made, nn.Flatten) and math.prod(self.shapes[given[0]][1:]) > 1):
            return False
        return not needs_the_same(made) or all(map(self._can_pick, given))

    def _picked(self, name: str, channels: torch.Tensor, users: int = 0) -> str:
        """The layer that gives these channels of what a layer gives: itself, if `users` layers alone take it."""
        made, given = of_channels(self.layers[name], channels), self.inputs[name]
        assert made is not None  # `_can_pick` has seen to it
        if needs_the_same(made):
            given = tuple(self._picked(one, channels, 1) for one in given)
        if sum(taken.count(name) for taken in self.inputs.values()) > users:
            return self.add(name, made, self.places[name], *given)
        self.layers[name], self.inputs[name] = made, given
        self.shapes[name] = shape_behind(made, name, *(self.shapes[one] for one in given))
        return name

    def ends_in_bytes(self, name: str) -> bool:
        """Whether a layer gives bytes."""
        return not self.binary and role(self.layers[name], name) in (Role.ACTIVATION, Role.MOVING)

    def _unique(self, wanted: str) -> str:
        """A name for a layer that a package and a graph can hold."""
        clean = re.sub(r"[^A-Za-z0-9_-]", "_", wanted)[-LONGEST_NAME + 5 :]
        name, count = clean, 1
        while name in self.layers or name == INPUT or hasattr(LayerGraph, name):
            count += 1
            name = f"{clean}_{count}"
        return name

    def _moved(self, flow: Flow) -> NetworkError:
        """The refusal of a tensor that is neither an image nor flat."""
        return NetworkError(f"{flow.where}: {unmapped_shape((self.images, *flow.given), flow.shape)}", flow.name)

    def _selected(self, flow: Flow, wanted: Sequence[int]) -> str:
        """A layer that puts the numbers of `flow` in its order; found again where there is one."""
        shape = tuple(wanted)
        if shape not in flow.made:
            if self.binary:
                raise self._moved(flow)
            try:
                index = flow.of_one().reshape(shape).contiguous()
                given = flow.given if len(flow.given) == 3 else (flow.given[0], 1, 1)
                one_hot(index.numpy(), given)
            except NetworkError as error:
                raise NetworkError(f"{self._moved(flow)}: {error}", flow.name) from error
            place, _, operation = flow.where.rpartition(": ")
            select = Select(index, given)
            flow.made[shape] = self.add(operation or "select", select, place, flow.name)
        return flow.made[shape]

    def _flat(self, name: str, where: str) -> str:
        """A flattening behind a layer, one for all that want it."""
        if len(self.shapes[name]) == 1:
            return name
        known = [
            one for one, taken in self.inputs.items() if taken == (name,) and isinstance(self.layers[one], nn.Flatten)
        ]
        if known:
            return known[0]
        place, _, operation = where.rpartition(": ")
        return self.add(operation or "flatten", nn.Flatten(), place, name)

    def _check(self, check: Callable[[], object]) -> None:
        try:
            check()
        except NetworkError as error:
            raise located(error, self.places) from error
