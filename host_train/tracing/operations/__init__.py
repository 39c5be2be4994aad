"""The layers that each module, function and method of a traced model becomes: a file for each kind, and a line here.

moving and arithmetic are of operations that become no kind of layer of their own; add and concat join tensors.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from host_train.tracing.operations import arithmetic, moving
from host_train.tracing.operations.advice import advice
from host_train.tracing.operations.avgpool import AVGPOOL, Unchanged
from host_train.tracing.operations.binary import BINARY, SIGN
from host_train.tracing.operations.conv2d import CONV2D
from host_train.tracing.operations.dropped import DROPPED
from host_train.tracing.operations.ending import ENDING
from host_train.tracing.operations.hardtanh import CLAMPED, HARDTANH
from host_train.tracing.operations.join import ADD, CONCAT
from host_train.tracing.operations.kind import Handler, Shape, SumOf
from host_train.tracing.operations.leaky import LEAKY, PRELU
from host_train.tracing.operations.linear import LINEAR
from host_train.tracing.operations.maxpool import MAXPOOL
from host_train.tracing.operations.norm import NORM, aten_batch_norm
from host_train.tracing.operations.relu import RELU
from pynq_cnn.errors import NetworkError

__all__ = [
    "LEARNED",
    "LEAVES",
    "SumOf",
    "Unchanged",
    "advice",
    "arithmetic",
    "handler_of",
    "is_single",
    "joins",
    "module_layers",
    "moving",
]

KINDS = (
    *(CONV2D, LINEAR, NORM, BINARY, SIGN, HARDTANH, CLAMPED, RELU, LEAKY, PRELU, MAXPOOL, AVGPOOL, DROPPED, ENDING),
    *(ADD, CONCAT),
)

FUNCTIONS: dict[Any, Handler] = {function: handler for kind in KINDS for function, handler in kind.functions.items()}
TENSOR_METHODS: dict[str, Handler] = {method: handler for kind in KINDS for method, handler in kind.methods.items()}
MODULES: dict[type[nn.Module], Handler] = {
    module: handler for kind in KINDS for module, handler in kind.modules.items()
}
# Operators of exported programs go by name; but for batch norm they take what the functions of torch take.
OPERATORS: dict[str, Handler] = {
    **{getattr(function, "__name__", ""): handler for function, handler in FUNCTIONS.items()},
    **TENSOR_METHODS,
    "batch_norm": aten_batch_norm,
}
LEARNED = tuple(module for kind in KINDS if kind.learned for module in kind.modules)
LEAVES = (*MODULES, *moving.MODULES)


def handler_of(target: Any, operation: str) -> Handler | None:
    """The handler of a function, of a method (its name) or of an exported operator; None if there is none."""
    if isinstance(target, str):
        return TENSOR_METHODS.get(target)
    return FUNCTIONS.get(target) or (OPERATORS.get(operation) if hasattr(target, "_schema") else None)


def joins(handler: Handler) -> bool:
    """Whether a handler is of what may be given several tensors."""
    return any(handler in (*kind.functions.values(), *kind.methods.values()) for kind in (ADD, CONCAT, DROPPED))


def is_single(made: list[nn.Module]) -> bool:
    """Whether the order of the numbers is all the same to these layers."""
    singles = tuple(module for kind in KINDS if kind.single for module in kind.modules)
    return all(isinstance(one, singles) for one in made)


def module_layers(module: nn.Module, before: Shape, after: Shape, last: bool = False) -> list[nn.Module]:
    """The layers that a leaf module becomes, the last operation of a model or not; `NetworkError` if none."""
    for kind, handler in MODULES.items():
        if isinstance(module, kind):
            return handler(module, before, after)
    raise NetworkError(f"a {type(module).__name__} cannot be mapped; {advice(type(module).__name__, last=last)}")
