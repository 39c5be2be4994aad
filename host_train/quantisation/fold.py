"""A trained network in the few layers that have integer counterparts."""

from __future__ import annotations

import copy
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn

from host_train.layers.about import about
from pynq_cnn.errors import NetworkError

WEIGHTED = (nn.Conv2d, nn.Linear)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
DROPPED = (nn.Dropout, nn.Dropout2d, nn.Identity)
AVERAGING = (nn.AvgPool2d, nn.AdaptiveAvgPool2d)
SUPPORTED = (
    "Conv2d, Linear, BatchNorm1d/2d, ReLU, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, Flatten, Dropout, Identity and"
    " Sequential"
)

AS_SEQUENCE = "make one of it first: host_train.tracing.trace.trace(model, images).layers"


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
    """The layers of a Sequential by their full names, nested ones opened."""
    for name, layer in every_layer(model):
        if isinstance(layer, nn.Sequential):
            yield from flat(layer, f"{prefix}{name}.")
        else:
            yield prefix + name, layer


def _fold_batch_norm(layer: nn.Module, norm: nn.Module) -> None:
    """Put a batch norm's scale and shift into the weight and bias of the layer before it, in float64."""
    assert isinstance(layer, WEIGHTED) and isinstance(norm, NORMS)
    assert norm.running_mean is not None and norm.running_var is not None  # `check_options` has seen to it
    mean, variance = norm.running_mean.double(), norm.running_var.double()
    scale = 1 / torch.sqrt(variance + norm.eps)
    shift = torch.zeros_like(mean)
    if norm.affine:
        scale, shift = scale * norm.weight.detach().double(), norm.bias.detach().double()
    weight = layer.weight.detach().double() * scale.reshape(-1, *[1] * (layer.weight.ndim - 1))
    bias = torch.zeros_like(mean) if layer.bias is None else layer.bias.detach().double()
    layer.weight = nn.Parameter(weight.float())
    layer.bias = nn.Parameter((shift + (bias - mean) * scale).float())


def check_options(name: str, layer: nn.Module) -> None:
    """Refuse options that the accelerator does not have."""
    if isinstance(layer, nn.Conv2d):
        if layer.groups != 1:
            raise NetworkError(f"{name} has groups={layer.groups}; only groups=1 can be mapped")
        if tuple(layer.dilation) != (1, 1):
            raise NetworkError(f"{name} has dilation={layer.dilation}; only 1 can be mapped")
        if isinstance(layer.padding, str):
            raise NetworkError(f"{name} has padding={layer.padding!r}; give it as numbers")
        if layer.padding_mode != "zeros" and any(layer.padding):
            raise NetworkError(f"{name} has padding_mode={layer.padding_mode!r}; only 'zeros' can be mapped")
        if any(pad >= side for pad, side in zip(pair(layer.padding), layer.kernel_size)):
            raise NetworkError(
                f"{name} has padding={layer.padding}, which must be smaller than the kernel {layer.kernel_size}; use"
                " less"
            )
    if isinstance(layer, NORMS) and (layer.running_mean is None or layer.running_var is None):
        raise NetworkError(f"{name} keeps no running statistics; train it with track_running_stats=True")
    if isinstance(layer, nn.MaxPool2d):
        for field in ("kernel_size", "stride", "padding", "dilation"):
            value = getattr(layer, field)
            sides = pair(value)
            wanted = {"padding": 0, "dilation": 1}.get(field, sides[0])
            if sides != (wanted, wanted):
                raise NetworkError(
                    f"{name} has {field}={value}; max pooling must be square, without padding and dilation"
                )
        if layer.ceil_mode:
            raise NetworkError(
                f"{name} has ceil_mode=True; rows that fill no window are dropped, so use ceil_mode=False"
            )
    if isinstance(layer, nn.AvgPool2d) and (
        any(pair(layer.padding)) or layer.ceil_mode or layer.divisor_override is not None
    ):
        raise NetworkError(
            f"{name} is {layer}; average pooling must be without padding, ceil_mode and divisor_override"
        )
    if isinstance(layer, nn.AdaptiveAvgPool2d) and layer.output_size not in (1, (1, 1)):
        raise NetworkError(f"{name} averages to {layer.output_size}; only to 1 can be mapped, or use AvgPool2d")
    if isinstance(layer, nn.Flatten) and (layer.start_dim, layer.end_dim) != (1, -1):
        raise NetworkError(
            f"{name} flattens dimensions {layer.start_dim} to {layer.end_dim}; only 1 to -1 can be mapped"
        )


def check_order(layers: Iterable[tuple[str, nn.Module]]) -> None:
    """Refuse the first layer that is out of place, whatever may follow: more layers than these may.

    Parameters
    ----------
    layers : iterable of (str, torch.nn.Module)
        Names and layers from the first on.

    Raises
    ------
    NetworkError
        Names the layer, and says what to do.

    Examples
    --------
    >>> check_order([("c", nn.Conv2d(1, 2, 3)), ("p", nn.MaxPool2d(2))])  # a ReLU may still come
    >>> check_order([("c", nn.Conv2d(1, 2, 3)), ("p", nn.MaxPool2d(2)), ("d", nn.Conv2d(2, 2, 3))])
    Traceback (most recent call last):
    ...
    pynq_cnn.errors.NetworkError: c has no ReLU behind it; activations are bytes, so every layer but the last needs one
    """
    waiting = ""  # the layer with weights whose ReLU has not come yet
    seen: list[nn.Module] = []  # the layers so far, without those that are folded into others
    for name, layer in layers:
        with about(name):
            check_options(name, layer)
        if isinstance(layer, DROPPED):
            continue
        if isinstance(layer, NORMS):
            if not seen or not isinstance(seen[-1], WEIGHTED):
                raise NetworkError(
                    f"{name} does not follow a Conv2d or Linear, to be folded into; put it before the ReLU and the"
                    " pooling",
                    name,
                )
            continue
        if isinstance(layer, (*WEIGHTED, *AVERAGING)) and waiting:
            raise NetworkError(
                f"{waiting} has no ReLU behind it; activations are bytes, so every layer but the last needs one",
                waiting,
            )
        if isinstance(layer, WEIGHTED):
            if (
                isinstance(layer, nn.Conv2d)
                and any(pair(layer.padding))
                and seen
                and all(isinstance(one, nn.MaxPool2d) for one in seen)
            ):
                raise NetworkError(
                    f"{name} pads behind a max pooling of the image, but only the first layer can pad with the byte"
                    " that stands for 0 there; give it padding=0, or put the pooling behind it",
                    name,
                )
            waiting = name
        elif isinstance(layer, nn.ReLU):
            if not waiting:
                raise NetworkError(f"{name} does not follow a Conv2d or Linear; remove it", name)
            waiting = ""
        elif isinstance(layer, AVERAGING):
            if not any(isinstance(one, nn.ReLU) for one in seen):
                raise NetworkError(
                    f"{name} averages what no layer has made bytes of; put it behind a Conv2d and its ReLU", name
                )
        elif not isinstance(layer, (nn.MaxPool2d, nn.Flatten)):
            raise NetworkError(f"{name} is a {type(layer).__name__}, which cannot be mapped; use {SUPPORTED}", name)
        seen.append(layer)


def check_end(layers: Iterable[tuple[str, nn.Module]]) -> None:
    """Refuse layers, in order otherwise, that do not end with one that can give logits."""
    found = [(name, layer) for name, layer in layers if not isinstance(layer, (*DROPPED, *NORMS))]
    computing = [(name, layer) for name, layer in found if not isinstance(layer, nn.Flatten)]
    if not computing or not isinstance(computing[-1][1], (*WEIGHTED, *AVERAGING)):
        wanted = "the network must end with a Conv2d, a Linear or average pooling, not with"
        if not found:
            raise NetworkError(f"{wanted} nothing")
        last = found[-1][0]
        raise NetworkError(f"{last}: {wanted} {last}; remove it, or put a Linear behind it", last)


def check_folded(model: nn.Module) -> None:
    """Refuse a model that `fold` has not made: layers within other modules would be passed over."""
    known = (*WEIGHTED, *AVERAGING, nn.ReLU, nn.MaxPool2d, nn.Flatten)
    other = next(
        (f"its {name} is a {type(one).__name__}" for name, one in every_layer(model) if not isinstance(one, known)),
        None,
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
        if any(isinstance(one, WEIGHTED) for one in layer.children()):
            raise NetworkError(
                f"{name} is a {type(layer).__name__} with layers of its own, in an order that only its forward tells;"
                f" {AS_SEQUENCE}"
            )
    check_order(named)
    check_end(named)
    twice = [name for name, count in Counter(name for name, _ in named).items() if count > 1]
    if twice:
        raise NetworkError(f"two layers would be called {twice[0]}, as '.' becomes '_'; rename one")
    layers: list[tuple[str, nn.Module]] = []
    for name, original in named:
        layer = copy.deepcopy(original)
        if isinstance(layer, DROPPED):
            continue
        if isinstance(layer, NORMS):
            _fold_batch_norm(layers[-1][1], layer)
            continue
        if isinstance(layer, nn.ReLU):
            place = len(layers)
            while isinstance(layers[place - 1][1], (nn.MaxPool2d, nn.Flatten)):
                place -= 1  # max pooling takes the maximum, ReLU too
            layers.insert(place, (name, nn.ReLU()))
            continue
        if isinstance(layer, WEIGHTED) and layer.bias is None:
            layer.bias = nn.Parameter(torch.zeros(len(layer.weight)))
        layers.append((name, layer))
    return nn.Sequential(OrderedDict(layers)).eval()
