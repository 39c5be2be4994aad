"""A trained network in the few layers that have integer counterparts."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterable

from torch import nn

from host_train.layers.about import about
from host_train.layers.join import Add
from host_train.layers.residual import Residual
from host_train.quantisation.draft import Draft
from host_train.quantisation.graph import LayerGraph, inputs_of
from host_train.quantisation.layers.rules import check_options, is_folded, prepared, role
from host_train.quantisation.layers.sums import Summing
from host_train.quantisation.normalise import normalise
from host_train.quantisation.sequential import every_layer
from pynq_cnn.errors import NetworkError
from pynq_cnn.model.layers import INPUT

IN_ORDER = (nn.Sequential.forward, LayerGraph.forward)  # any other may do anything with its layers
AS_GRAPH = "make one of it first: host_train.tracing.trace.trace(model, images).layers"


def check_layer(layer: nn.Module, name: str) -> None:
    """Refuse a layer that can be mapped nowhere in a network.

    Examples
    --------
    >>> check_layer(nn.Conv2d(1, 2, 3), "c")
    >>> check_layer(nn.Conv2d(1, 2, 3, padding=3), "c")
    Traceback (most recent call last):
    ...
    pynq_cnn.errors.NetworkError: c has padding=(3, 3), which must be smaller than the kernel (3, 3); use less
    """
    with about(name):
        check_options(layer, name)
        role(layer, name)


def check_end(layers: Iterable[tuple[str, nn.Module]]) -> None:
    """Refuse layers, one behind the other, that do not end with one that can give logits."""
    fold(nn.Sequential(OrderedDict(layers)))


def check_folded(model: nn.Module) -> None:
    """Refuse a model that `fold` has not made: layers within other modules would be passed over."""
    other = next(
        (f"its {name} is a {type(one).__name__}" for name, one in every_layer(model) if not is_folded(one)), None
    )
    if not isinstance(model, nn.Sequential):
        other = f"it is a {type(model).__name__}"
    if other is not None:
        raise NetworkError(f"the model is not folded: {other}; give what host_train.quantisation.fold.fold makes of it")


class _Opened:
    """The layers of nested Sequentials, graphs and residual blocks, copied, with what each takes."""

    def __init__(self) -> None:
        self.layers: dict[str, nn.Module] = {}
        self.inputs: dict[str, tuple[str, ...]] = {}

    def add(self, full: str, layer: nn.Module, *given: str) -> str:
        """Add a layer, opened if it is made of others; gives the name of the last."""
        if isinstance(layer, nn.Sequential) and type(layer).forward in IN_ORDER:
            return self.open(layer, f"{full}.", given[0])
        if isinstance(layer, Residual):
            body = self.add(f"{full}.body", layer.body, *given)
            shortcut = self.add(f"{full}.shortcut", layer.shortcut, *given)
            return self.add(f"{full}.relu", layer.relu, self.add(f"{full}.add", Add(), body, shortcut))
        name = full.replace(".", "_")
        if any(isinstance(one, Summing) for one in layer.children()):
            raise NetworkError(
                f"{name} is a {type(layer).__name__} with layers of its own, in an order that only its forward tells;"
                f" {AS_GRAPH}"
            )
        check_layer(layer, name)
        if name in self.layers:
            raise NetworkError(f"two layers would be called {name}, as '.' becomes '_'; rename one")
        self.layers[name], self.inputs[name] = prepared(copy.deepcopy(layer)), given
        return name

    def open(self, model: nn.Sequential, prefix: str, given: str) -> str:
        """Add all layers of a Sequential or a graph."""
        last, names = given, {INPUT: given}
        inputs = inputs_of(model)
        for name, layer in every_layer(model):
            last = names[name] = self.add(prefix + name, layer, *(names[one] for one in inputs[name]))
        return last


def fold(model: nn.Module) -> LayerGraph:
    """The same function in layers that have integer counterparts.

    Dropout is removed. Batch norm goes into the layer before it, or into one behind it, or becomes a layer of its own.
    Every Conv2d, Linear, average and addition is followed by what makes bytes of its sums: its activation, or `Bytes`
    where it has none; but for the last, and those that something is added to.

    Parameters
    ----------
    model : torch.nn.Sequential
        Trained; nested Sequentials, `LayerGraph` and `Residual` are fine. It is not changed. Of any other module,
        `host_train.tracing.trace.trace` makes a graph.

    Returns
    -------
    LayerGraph
        In evaluation mode; equal to `model.eval()` up to the rounding of float32. Layers keep their names; the `.` of
        nested ones becomes `_`.

    Raises
    ------
    NetworkError
        Names the first layer that cannot be mapped, and says why.

    Examples
    --------
    >>> import torch
    >>> block = [nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.MaxPool2d(2), nn.ReLU()]
    >>> model = nn.Sequential(*block, nn.Flatten(), nn.Linear(8, 3)).eval()
    >>> folded = fold(model)
    >>> [type(layer).__name__ for layer in folded]
    ['Conv2d', 'ReLU', 'MaxPool2d', 'Flatten', 'Linear']
    >>> x = torch.rand(4, 1, 6, 6)
    >>> bool(torch.allclose(folded(x), model(x), atol=1e-5))
    True
    >>> folded = fold(nn.Sequential(nn.Conv2d(1, 2, 3), Residual(nn.Conv2d(2, 2, 1)), nn.Conv2d(2, 1, 1)))
    >>> [name for name, _ in folded.named_children()]
    ['0', '0_bytes', '1_body', '1_add', '1_relu', '2']
    """
    if not isinstance(model, nn.Sequential) or type(model).forward not in IN_ORDER:
        raise NetworkError(f"a model must be a torch.nn.Sequential, not {type(model).__name__}; {AS_GRAPH}")
    opened = _Opened()
    output = opened.open(model, "", INPUT)
    draft = Draft(opened.layers, opened.inputs, output)
    normalise(draft)
    return draft.graph().eval()
