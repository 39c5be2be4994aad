"""The operations of a model, as `torch.fx` records them, and what each of them gave.

They are run once, which tells the shape of every tensor, so that it does not matter how a flattening or a pooling size
was written. [Reed et al. 2022, "torch.fx", arXiv 2112.08429]
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from host_train.layers.binary import binarise
from host_train.reason import reason_of
from host_train.tracing.evaluating import evaluating
from host_train.tracing.operations import LEAVES
from host_train.tracing.places import calling_place, raising_place
from pynq_cnn.errors import NetworkError

STRAIGHT = "remove conditions, loops and Python numbers that depend on the input; flattening is torch.flatten(x, 1)"
IN_INIT = "make every module in __init__, and only call it in forward"


class Whole(nn.Module):
    """The model called with one input, whatever other arguments it could take; so its own hooks are traced too."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> Any:
        return self.model(x)


class Tracer(fx.Tracer):
    """Notes the user's line at every operation, and takes the layers and functions that have a counterpart whole."""

    def __init__(self) -> None:
        super().__init__(autowrap_functions=(binarise,))

    def create_node(self, *args: Any, **options: Any) -> fx.Node:
        node = super().create_node(*args, **options)
        node.meta["place"] = calling_place(Whole.forward.__code__)
        return node

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        ours = any(isinstance(m, kind) and type(m).forward is kind.forward for kind in LEAVES)
        return ours or super().is_leaf_module(m, module_qualified_name)


class Recorder(fx.Interpreter):
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
            self.failure, self.reason = error, f"{where_of(n)} fails on the calibration images: {reason_of(error)}"
            raise
        self.values[n] = TensorShape(tuple(value.shape)) if isinstance(value, torch.Tensor) else value
        return value


@dataclass(frozen=True)
class TensorShape:
    """The shape of a tensor, which is all that is kept of it."""

    shape: tuple[int, ...]


def where_of(node: fx.Node) -> str:
    """Place and name of an operation."""
    name = str(node.target).removeprefix("model.") if node.op == "call_module" else operation_of(node)
    return ": ".join(filter(None, (node.meta.get("place", ""), name)))


def operation_of(node: fx.Node) -> str:
    """Name of the function or method that an operation calls."""
    return str(getattr(node.target, "__name__", node.target))


def record(model: nn.Module, inputs: torch.Tensor) -> tuple[Whole, fx.Graph, Recorder]:
    """The operations of `model`, and what each gave for `inputs`; `NetworkError` if it cannot be traced."""
    whole = Whole(model)
    with evaluating(model):
        try:
            graph = Tracer().trace(whole)
        except Exception as error:  # TraceError, and anything that the user's code does with what is no tensor yet
            place = raising_place(error)
            hint = IN_INIT if isinstance(error, NameError) else STRAIGHT
            where = ": ".join(filter(None, (place, f"{type(model).__name__} cannot be traced")))
            raise NetworkError(f"{where} ({reason_of(error)}); {hint}") from error
        traced = fx.GraphModule(whole, graph)
        recorder = Recorder(traced)
        with suppress(Exception):  # an earlier operation may be one that cannot be mapped; that is then said first
            recorder.run(inputs)
    return whole, traced.graph, recorder
