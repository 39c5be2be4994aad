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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from torch import fx, nn

from host_train.quantisation.fold import check_options
from host_train.tracing.operations import FUNCTIONS, LEAVES, METHODS, WEIGHTED, advice, module_layers
from pynq_cnn.errors import NetworkError

TORCH = os.path.dirname(torch.__file__) + os.sep
LONGEST_NAME = 64
SOFTMAXES = (nn.Softmax, nn.LogSoftmax)


@dataclass(frozen=True, eq=False)
class Traced:
    """A model as a flat sequence.

    Parameters
    ----------
    layers : torch.nn.Sequential
        In evaluation mode, on the CPU, with weights of its own; gives the logits.
    ending : torch.nn.Module
        Softmax or log-softmax that the model puts behind its logits; Identity if none.
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
        """`error` with the place of the layer that its message starts with."""
        place = self.places.get(re.split(r"[\s:]", str(error), maxsplit=1)[0])
        return NetworkError(f"{place}: {error}") if place else error


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


def _reason(error: BaseException) -> str:
    return (str(error) or repr(error)).strip().splitlines()[0]


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
    """Notes the user's line at every operation, and takes the layers that have a counterpart whole."""

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
        self.failure: NetworkError | None = None

    def run_node(self, n: fx.Node) -> Any:
        try:
            value = super().run_node(n)
        except Exception as error:  # whatever an operation raises for an input that it does not take
            self.failure = NetworkError(f"{_where(n)} fails on the calibration images: {_reason(error)}")
            raise self.failure from error
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
            raise NetworkError(f"{where} ({_reason(error)}); {hint}") from error
        traced = fx.GraphModule(whole, graph)
        recorder = _Recorder(traced)
        with suppress(NetworkError):  # an earlier operation may be one that cannot be mapped; that is then said first
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
    >>> trace(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sigmoid()), torch.zeros(2, 1, 8, 8))
    Traceback (most recent call last):
    ...
    pynq_cnn.errors.NetworkError: 1: a Sigmoid cannot be mapped; use ReLU and train it again
    """
    whole, graph, recorder = _record(model, inputs)
    values = recorder.values
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    places: dict[str, str] = {}
    taken: set[str] = set()
    current: fx.Node | None = None  # the operation whose result the next one takes
    for node in graph.nodes:
        if node not in values and recorder.failure is not None:
            raise recorder.failure
        value = values.get(node)
        if node.op == "output":
            if node.args[0] is not current:
                raise NetworkError(f"{type(model).__name__}.forward must return one tensor, the logits, not {_returned(node.args[0])}")
        elif node.op == "placeholder":
            current = node
        elif node.op == "get_attr" or not _has_tensor(value):
            continue  # a weight, or a size: what takes it is looked at
        else:
            assert current is not None
            try:
                found = _map(node, current, whole, values)
                for layer in found:
                    wanted = str(node.target).removeprefix("model.") if node.op == "call_module" else node.name
                    name = _unique(wanted, taken)
                    layers[name], places[name] = layer, node.meta.get("place", "")
                    check_options(name, layer)
            except NetworkError as error:
                raise NetworkError(f"{_where(node)}: {error}") from error
            current = node
    ending = layers.popitem()[1] if layers and isinstance(next(reversed(layers.values())), SOFTMAXES) else nn.Identity()
    for name, layer in layers.items():
        if isinstance(layer, SOFTMAXES):
            raise NetworkError(f"{places[name]}: {name}: a softmax can only be the last operation; use ReLU between layers")
    if layers and isinstance(next(reversed(layers.values())), nn.Flatten):
        layers.popitem()  # logits are flat anyway
    called = {whole.get_submodule(str(node.target)) for node in graph.nodes if node.op == "call_module"}
    unused = tuple(name for name, one in model.named_modules() if isinstance(one, WEIGHTED) and one not in called)
    return Traced(nn.Sequential(layers).eval(), ending, places, unused)


def _has_tensor(value: Any) -> bool:
    return isinstance(value, (_Tensor, torch.Tensor)) or (isinstance(value, (tuple, list)) and any(_has_tensor(v) for v in value))


def _returned(value: Any) -> str:
    return f"the result of {value.name}, which is not the last operation" if isinstance(value, fx.Node) else f"a {type(value).__name__}"


def _map(node: fx.Node, current: fx.Node, whole: nn.Module, values: dict[fx.Node, Any]) -> list[nn.Module]:
    """The layers of one operation, which must take the tensor of `current` and no other."""
    operation = _operation(node)
    after = values[node]
    sources = [n for n in node.all_input_nodes if isinstance(values.get(n), _Tensor)]
    if len(sources) > 1:
        raise NetworkError(f"{len(sources)} tensors go into one operation, which cannot be mapped; {advice(operation)}")
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
    if node.op == "call_module":
        return module_layers(whole.get_submodule(str(node.target)), before, after.shape)
    handler = METHODS.get(operation) if node.op == "call_method" else FUNCTIONS.get(node.target)
    if handler is None:
        raise NetworkError(f"it cannot be mapped; {advice(operation)}")
    arguments, options = fx.node.map_arg((node.args, node.kwargs), lambda n: values[n])
    arguments = tuple(arguments)
    if arguments:
        arguments = arguments[1:]
    else:
        options = {name: option for name, option in options.items() if name not in ("input", "self")}
    try:
        return handler(before, after.shape, *arguments, **options)
    except TypeError as error:
        raise NetworkError(f"its arguments cannot be mapped ({_reason(error)}); use the module of torch.nn instead") from error
