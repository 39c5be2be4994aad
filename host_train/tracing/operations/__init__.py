"""The layers that each module, function and method of a traced model becomes: a file for each kind, and a line here."""

from __future__ import annotations

from typing import Any

from torch import nn

from host_train.tracing.operations.advice import advice
from host_train.tracing.operations.avgpool import AVGPOOL, Unchanged
from host_train.tracing.operations.binary import BINARY, HARDTANH, SIGN
from host_train.tracing.operations.conv2d import CONV2D
from host_train.tracing.operations.dropped import DROPPED
from host_train.tracing.operations.ending import ENDING
from host_train.tracing.operations.kind import Handler, Shape
from host_train.tracing.operations.linear import LINEAR
from host_train.tracing.operations.maxpool import MAXPOOL
from host_train.tracing.operations.norm import NORM
from host_train.tracing.operations.relu import RELU
from host_train.tracing.operations.reshape import RESHAPE, Reshape, unmapped_shape
from pynq_cnn.errors import NetworkError

__all__ = [
    "FUNCTIONS",
    "LEAVES",
    "TENSOR_METHODS",
    "LEARNED",
    "Reshape",
    "Unchanged",
    "advice",
    "module_layers",
    "unmapped_shape",
]

KINDS = (CONV2D, LINEAR, NORM, BINARY, SIGN, HARDTANH, RELU, MAXPOOL, AVGPOOL, RESHAPE, DROPPED, ENDING)

FUNCTIONS: dict[Any, Handler] = {function: handler for kind in KINDS for function, handler in kind.functions.items()}
TENSOR_METHODS: dict[str, Handler] = {method: handler for kind in KINDS for method, handler in kind.methods.items()}
MODULES: dict[type[nn.Module], Handler] = {
    module: handler for kind in KINDS for module, handler in kind.modules.items()
}
LEARNED = tuple(module for kind in KINDS if kind.learned for module in kind.modules)
LEAVES = tuple(MODULES)


def module_layers(module: nn.Module, before: Shape, after: Shape, last: bool = False) -> list[nn.Module]:
    """The layers that a leaf module becomes, the last operation of a model or not; `NetworkError` if none."""
    for kind, handler in MODULES.items():
        if isinstance(module, kind):
            return handler(module, before, after)
    raise NetworkError(f"a {type(module).__name__} cannot be mapped; {advice(type(module).__name__, last=last)}")
