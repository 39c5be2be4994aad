"""A trained network in the few layers that have integer counterparts."""

from __future__ import annotations

import copy
from collections import Counter, OrderedDict
from collections.abc import Iterable

from torch import nn

from host_train.layers.about import about
from host_train.layers.residual import Residual
from host_train.quantisation.layers.rules import check_options, fold_layer, follow, is_folded
from host_train.quantisation.layers.state import Place
from host_train.quantisation.layers.sums import Summing
from host_train.quantisation.sequential import every_layer, flat
from pynq_cnn.errors import NetworkError

AS_SEQUENCE = "make one of it first: host_train.tracing.trace.trace(model, images).layers"


def check_order(layers: Iterable[tuple[str, nn.Module]]) -> Place:
    """Refuse the first layer that is out of place, whatever may follow: more layers than these may.

    Parameters
    ----------
    layers : iterable of (str, torch.nn.Module)
        Names and layers from the first on.

    Returns
    -------
    Place
        Behind the last of them.

    Raises
    ------
    NetworkError
        Names the layer, and says what to do.

    Examples
    --------
    >>> check_order([("c", nn.Conv2d(1, 2, 3)), ("p", nn.MaxPool2d(2))]).sums_of  # a ReLU may still come
    'c'
    >>> check_order([("c", nn.Conv2d(1, 2, 3)), ("p", nn.MaxPool2d(2)), ("d", nn.Conv2d(2, 2, 3))])
    Traceback (most recent call last):
    ...
    pynq_cnn.errors.NetworkError: c has no ReLU behind it; activations are bytes, so every layer but the last needs one
    """
    place = Place()
    for name, layer in layers:
        with about(name):
            check_options(layer, name)
            place = follow(layer, name, place)
    return place


def check_end(layers: Iterable[tuple[str, nn.Module]]) -> None:
    """Refuse layers that do not end with one that can give logits, or as `check_order` does."""
    end = check_order(layers)
    if not end.logits_of:
        wanted = "the network must end with a Conv2d, a Linear or average pooling, not with"
        if not end.last:
            raise NetworkError(f"{wanted} nothing")
        raise NetworkError(f"{end.last}: {wanted} {end.last}; remove it, or put a Linear behind it", end.last)


def check_folded(model: nn.Module) -> None:
    """Refuse a model that `fold` has not made: layers within other modules would be passed over."""
    other = next(
        (f"its {name} is a {type(one).__name__}" for name, one in every_layer(model) if not is_folded(one)), None
    )
    if not isinstance(model, nn.Sequential):
        other = f"it is a {type(model).__name__}"
    if other is not None:
        raise NetworkError(f"the model is not folded: {other}; give what host_train.quantisation.fold.fold makes of it")


def fold(model: nn.Module) -> nn.Sequential:
    """The same function in Conv2d and Linear (with bias), ReLU, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d and Flatten.

    Batch norm goes into the layer before it, dropout is removed, and a ReLU behind max pooling goes before it (both
    orders give the same).

    Parameters
    ----------
    model : torch.nn.Sequential
        Trained; nested Sequentials are fine. It is not changed. Of any other module, `host_train.tracing.trace.trace`
        makes a Sequential.

    Returns
    -------
    torch.nn.Sequential
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
    """
    if not isinstance(model, nn.Sequential):
        raise NetworkError(f"a model must be a torch.nn.Sequential, not {type(model).__name__}; {AS_SEQUENCE}")
    named = [(name.replace(".", "_"), layer) for name, layer in flat(model)]
    for name, layer in named:
        if isinstance(layer, Residual):
            raise NetworkError(
                f"{name} is a residual block, which is only trained and evaluated in floating point so far; it cannot"
                " be put in integers"
            )
        if any(isinstance(one, Summing) for one in layer.children()):
            raise NetworkError(
                f"{name} is a {type(layer).__name__} with layers of its own, in an order that only its forward tells;"
                f" {AS_SEQUENCE}"
            )
    check_end(named)
    twice = [name for name, count in Counter(name for name, _ in named).items() if count > 1]
    if twice:
        raise NetworkError(f"two layers would be called {twice[0]}, as '.' becomes '_'; rename one")
    layers: list[tuple[str, nn.Module]] = []
    for name, layer in named:
        fold_layer(copy.deepcopy(layer), name, layers)
    return nn.Sequential(OrderedDict(layers)).eval()
