"""A model walked in the order of its computation, as a flat nn.Sequential; what cannot be one is refused with its source line.

`torch.fx` records the operations. They are then run once, which tells the shape of every tensor, so that it does not matter how a
flattening or a pooling size was written. [Reed et al. 2022, "torch.fx", arXiv 2112.08429]
"""

from __future__ import annotations

import linecache
import os
import re
import sys
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from torch import fx, nn

from host_train.layers.binary import BinaryLayer, binarise
from host_train.quantisation import blocks, fold
from host_train.reason import reason_of
from host_train.tracing.operations import FUNCTIONS, LEAVES, METHODS, WEIGHTED, Reshape, Unchanged, advice, module_layers, unmapped_shape
from pynq_cnn.errors import NetworkError

TORCH = os.path.dirname(torch.__file__) + os.sep
LONGEST_NAME = 64
ENDINGS = (nn.Softmax, nn.LogSoftmax, nn.Sigmoid)


@dataclass(frozen=True, eq=False)
class Traced:
    """A model as a flat sequence.

    Parameters
    ----------
    layers : torch.nn.Sequential
        In evaluation mode, on the CPU, with weights of its own; gives the logits.
    ending : torch.nn.Module
        Softmax, LogSoftmax or Sigmoid that the model puts behind its logits; Identity if none.
    places : dict
        Name of each layer to where it is computed, for messages.
    unused : tuple of str
        Layers with weights that the model has but does not compute.
    """

    layers: nn.Sequential
    ending: nn.Module
    places: dict[str, str]
    unused: tuple[str, ...] = ()

    def located(self, error: NetworkError) -> NetworkError:
        """`error` with the place of the layer that it is about."""
        return _located(error, self.places)


def _located(error: NetworkError, places: dict[str, str]) -> NetworkError:
    """`error` with the place of the layer that it is about, where that is known."""
    place = places.get(error.layer or "")
    return NetworkError(f"{place}: {error}", error.layer) if place else error


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """`model` in evaluation mode and without gradients; every module is afterwards in the mode in which it was."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


# ------------------------------------------------------------------------------------------------------- places


def _place(file: str, line: int) -> str:
    code = linecache.getline(file, line).strip()
    shown = os.path.relpath(file) if file.startswith(os.getcwd() + os.sep) else file
    return f"{shown}:{line}, `{code}`" if code else f"{shown}:{line}"


def _users(file: str) -> bool:
    """Whether a source file is neither torch's nor this one."""
    return not file.startswith(TORCH) and file != __file__


def _calling_place() -> str:
    """The line of the user's that is being traced; empty in a plain nn.Sequential, which has none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not _Whole.forward.__code__:
        if _users(frame.f_code.co_filename):
            return _place(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return ""


def _raising_place(error: BaseException) -> str:
    """The line of the user's that `error` came from."""
    found = [frame for frame in traceback.extract_tb(error.__traceback__) if _users(frame.filename)]
    return _place(found[-1].filename, found[-1].lineno or 0) if found else ""


# ------------------------------------------------------------------------------------------------------ tracing


STRAIGHT = "leave away conditions, loops and Python numbers that depend on the input; flattening is torch.flatten(x, 1)"
IN_INIT = "make every module in __init__, and only call it in forward"


class _Whole(nn.Module):
    """The model called with one input, whatever other arguments it could take; so its own hooks are traced too."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> Any:
        return self.model(x)


class _Tracer(fx.Tracer):
    """Notes the user's line at every operation, and takes the layers and functions that have a counterpart whole."""

    def __init__(self) -> None:
        super().__init__(autowrap_functions=(binarise,))

    def create_node(self, *args: Any, **options: Any) -> fx.Node:
        node = super().create_node(*args, **options)
        node.meta["place"] = _calling_place()
        return node

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        ours = any(isinstance(m, kind) and type(m).forward is kind.forward for kind in LEAVES)  # type: ignore[attr-defined]
        return ours or super().is_leaf_module(m, module_qualified_name)


class _Recorder(fx.Interpreter):
    """Runs the operations and keeps what each gave, of tensors the shape, up to one that fails."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.values: dict[fx.Node, Any] = {}
        self.failure: Exception | None = None
        self.reason = ""

    def run_node(self, n: fx.Node) -> Any:
        try:
            value = super().run_node(n)
        except Exception as error:  # whatever an operation raises for an input that it does not take
            self.failure, self.reason = error, f"{_where(n)} fails on the calibration images: {reason_of(error)}"
            raise
        self.values[n] = _Tensor(tuple(value.shape)) if isinstance(value, torch.Tensor) else value
        return value


@dataclass(frozen=True)
class _Tensor:
    shape: tuple[int, ...]


def _where(node: fx.Node) -> str:
    """Place and name of an operation."""
    name = str(node.target).removeprefix("model.") if node.op == "call_module" else _operation(node)
    return ": ".join(filter(None, (node.meta.get("place", ""), name)))


def _operation(node: fx.Node) -> str:
    return str(getattr(node.target, "__name__", node.target))


def _record(model: nn.Module, inputs: torch.Tensor) -> tuple[_Whole, fx.Graph, _Recorder]:
    whole = _Whole(model)
    with evaluating(model):
        try:
            graph = _Tracer().trace(whole)
        except Exception as error:  # TraceError, and anything that the user's code does with what is no tensor yet
            place = _raising_place(error)
            hint = IN_INIT if isinstance(error, NameError) else STRAIGHT
            where = ": ".join(filter(None, (place, f"{type(model).__name__} cannot be traced")))
            raise NetworkError(f"{where} ({reason_of(error)}); {hint}") from error
        traced = fx.GraphModule(whole, graph)
        recorder = _Recorder(traced)
        with suppress(Exception):  # an earlier operation may be one that cannot be mapped; that is then said first
            recorder.run(inputs)
    return whole, traced.graph, recorder


def _unique(wanted: str, taken: set[str]) -> str:
    """A name for a layer that a package and an nn.Sequential can hold."""
    clean = re.sub(r"[^A-Za-z0-9_-]", "_", wanted)[-LONGEST_NAME + 5 :]
    name, count = clean, 1
    while name in taken or hasattr(nn.Sequential, name):
        count += 1
        name = f"{clean}_{count}"
    taken.add(name)
    return name


def trace(model: nn.Module, inputs: torch.Tensor) -> Traced:
    """`model` as a flat nn.Sequential of the layers that `host_train.quantisation` takes.

    Parameters
    ----------
    model : torch.nn.Module
        Any; it is evaluated in evaluation mode and left as it was.
    inputs : torch.Tensor
        float32 [n, channels, height, width], at least two images, on the model's device.

    Returns
    -------
    Traced

    Raises
    ------
    NetworkError
        Names the first operation that cannot be mapped, with its source line, and what to use instead.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Dropout(), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3))
    >>> [type(layer).__name__ for layer in trace(model, torch.zeros(2, 1, 8, 8)).layers]
    ['Conv2d', 'ReLU', 'AvgPool2d', 'Flatten', 'Linear']
    >>> trace(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh()), torch.zeros(2, 1, 8, 8))
    Traceback (most recent call last):
    ...
    pynq_cnn.errors.NetworkError: 1: a Tanh cannot be mapped; use ReLU and train it again
    """
    whole, graph, recorder = _record(model, inputs)
    values = recorder.values
    called = {whole.get_submodule(str(node.target)) for node in graph.nodes if node.op == "call_module"}
    found = _Layers(any(isinstance(module, BinaryLayer) for module in called))
    constants: set[fx.Node] = set()  # weights, and what is computed from them alone: what takes them is looked at
    current: fx.Node | None = None  # the operation whose result the next one takes
    for node in graph.nodes:
        if node not in values and recorder.failure is not None:
            raise NetworkError(recorder.reason) from recorder.failure
        value = values.get(node)
        if node.op == "output":
            if node.args[0] is not current:
                raise NetworkError(f"{type(model).__name__}.forward must return one tensor, the logits, not {_returned(node.args[0])}")
        elif node.op == "placeholder":
            current = node
        elif not _has_tensor(value):
            continue  # a size
        elif node.op == "get_attr" or (node.op != "call_module" and not set(_sources(node, values)) - constants):
            constants.add(node)
        else:
            assert current is not None
            try:
                made = _map(node, current, constants, whole, values)
            except NetworkError as error:
                raise NetworkError(f"{_where(node)}: {error}") from error
            wanted = str(node.target).removeprefix("model.") if node.op == "call_module" else node.name
            for layer in made:
                found.append(wanted, layer, node.meta.get("place", ""), values[node].shape)
            current = node
    layers, ending = found.finish()
    unused = tuple(name for name, one in model.named_modules() if isinstance(one, WEIGHTED) and one not in called)
    return Traced(layers, ending, found.places, unused)


class _Layers:
    """The layers that were found so far. One that is out of place is refused as soon as that is certain, so the first is named.

    Parameters
    ----------
    binary : bool
        Whether the model has binary layers.
    """

    def __init__(self, binary: bool) -> None:
        self.binary = binary
        self.layers: OrderedDict[str, nn.Module] = OrderedDict()
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.places: dict[str, str] = {}
        self._taken: set[str] = set()
        self._reshaped: list[tuple[str, Reshape]] = []  # since the last layer, with their places: what they come to is known at the next
        self._unchanged: tuple[str, str, tuple[int, ...]] | None = None  # pooling of single pixels: name, place and shape

    def append(self, wanted: str, layer: nn.Module, place: str, shape: tuple[int, ...]) -> None:
        """Add a layer whose result has this shape."""
        if isinstance(layer, Reshape):
            self._reshaped.append((": ".join(filter(None, (place, wanted))), layer))
            return
        if isinstance(layer, Unchanged):
            self._unchanged = (wanted, place, shape)
            return
        last = next(reversed(self.layers), "")
        if last and isinstance(self.layers[last], ENDINGS):
            kind = "sigmoid" if isinstance(self.layers[last], nn.Sigmoid) else "softmax"
            error = f"{last}: a {kind} can only be the last operation; use ReLU between layers"
            raise _located(NetworkError(f"{error} and train it again" if kind == "sigmoid" else error, last), self.places)
        self._add(wanted, self._behind_reshapes(layer), place, shape)

    def finish(self) -> tuple[nn.Sequential, nn.Module]:
        """All layers, and the softmax or sigmoid behind them."""
        if self._reshaped:
            where, reshape = self._reshaped[-1]
            if any(side != 1 for side in reshape.after[2:]) and reshape.after != self._reshaped[0][1].before:
                raise NetworkError(f"{where}: {unmapped_shape(self._reshaped[0][1].before, reshape.after)}")
        ending = self.layers.popitem()[1] if self.layers and isinstance(self._last(), ENDINGS) else nn.Identity()
        if self.layers and isinstance(self._last(), nn.Flatten):
            self.layers.popitem()  # logits are flat anyway
        if self.layers and self._unchanged is not None and isinstance(self._last(), (nn.ReLU, nn.MaxPool2d)) and not self.binary:
            wanted, place, shape = self._unchanged
            self._add(wanted, nn.AvgPool2d(1), place, shape)
        self._check((lambda layers: blocks.check_end(blocks.blocks(layers))) if self.binary else fold.check_end)
        last = next(reversed(self.layers))
        pixels = self.shapes[last][2:]
        if any(side != 1 for side in pixels):
            error = f"{last} is the last layer and gives {' x '.join(map(str, pixels))} pixels, not one number per class"
            remedy = "put nn.AdaptiveAvgPool2d(1), or nn.Flatten and nn.Linear, behind it"
            raise _located(NetworkError(f"{error}; {remedy}", last), self.places)
        return nn.Sequential(self.layers).eval(), ending

    def _last(self) -> nn.Module:
        return next(reversed(self.layers.values()))

    def _add(self, wanted: str, layer: nn.Module, place: str, shape: tuple[int, ...]) -> None:
        name = _unique(wanted, self._taken)
        self.layers[name], self.places[name], self.shapes[name] = layer, place, shape
        if not isinstance(layer, ENDINGS):
            self._check(blocks.blocks if self.binary else fold.check_order)

    def _behind_reshapes(self, layer: nn.Module) -> nn.Module:
        """`layer`, with the flattening before it that all reshapes since the last layer come to; `NetworkError` if they come to another."""
        if not self._reshaped:
            return layer
        before, (where, reshape) = self._reshaped[0][1].before, self._reshaped[-1]
        after = reshape.after
        self._reshaped = []
        if after == before or len(before) == len(after) + 1 == 2:
            return layer
        if len(after) <= 2 and len(before) > 2:
            place, _, wanted = where.rpartition(": ")
            self._add(wanted, nn.Flatten(), place, after)
            return layer
        pixels = before[2] * before[3] if len(before) == 4 else 0
        if isinstance(layer, nn.AvgPool2d) and after == (*before[:2], pixels, 1) and layer.kernel_size == (pixels, 1):
            return nn.AvgPool2d((before[2], before[3]))  # over pixels in a row, which is the mean over height and width
        raise NetworkError(f"{where}: {unmapped_shape(before, after)}")

    def _check(self, check: Callable[[Iterable[tuple[str, nn.Module]]], object]) -> None:
        try:
            check(self.layers.items())
        except NetworkError as error:
            raise _located(error, self.places) from error


def _has_tensor(value: Any) -> bool:
    return isinstance(value, (_Tensor, torch.Tensor)) or (isinstance(value, (tuple, list)) and any(_has_tensor(v) for v in value))


def _sources(node: fx.Node, values: dict[fx.Node, Any]) -> list[fx.Node]:
    """The operations whose tensors an operation takes."""
    return [n for n in node.all_input_nodes if _has_tensor(values.get(n))]


def _returned(value: Any) -> str:
    return f"the result of {value.name}, which is not the last operation" if isinstance(value, fx.Node) else f"a {type(value).__name__}"


def _map(node: fx.Node, current: fx.Node, constants: set[fx.Node], whole: nn.Module, values: dict[fx.Node, Any]) -> list[nn.Module]:
    """The layers of one operation, which must take the tensor of `current` and no other that is computed from the images."""
    operation = _operation(node)
    after = values[node]
    sources = [n for n in _sources(node, values) if n not in constants]
    if len(sources) > 1:
        raise NetworkError(f"{len(sources)} tensors go into one operation, which cannot be mapped; {advice(operation, len(sources))}")
    if not isinstance(after, _Tensor):
        raise NetworkError(f"it gives several tensors, which cannot be mapped; {advice(operation)}")
    if sources != [current]:
        raise NetworkError(
            f"it does not take the result of the operation before it ({current.name}): the model branches here, or a result is not used; "
            "use one straight line of layers"
        )
    if not node.users:
        raise NetworkError("its result is not used; write x = ... or leave it away")
    before = values[current].shape
    last = len(before) == 2 and all(user.op == "output" for user in node.users)
    if node.op == "call_module":
        return module_layers(whole.get_submodule(str(node.target)), before, after.shape, last)
    handler = METHODS.get(operation) if node.op == "call_method" else FUNCTIONS.get(node.target)
    if handler is None:
        raise NetworkError(f"it cannot be mapped; {advice(operation, last=last)}")
    arguments, options = fx.node.map_arg((node.args, node.kwargs), lambda n: values[n])
    arguments = tuple(arguments)
    if arguments:
        arguments = arguments[1:]
    else:
        options = {name: option for name, option in options.items() if name not in ("input", "self")}
    try:
        return handler(before, after.shape, *arguments, **options)
    except TypeError as error:
        raise NetworkError(f"its arguments cannot be mapped ({reason_of(error)}); use the module of torch.nn instead") from error
