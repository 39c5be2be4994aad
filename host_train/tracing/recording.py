"""The operations of a model, as `torch.fx` records them, with what each of them gave.

The model runs on real images while it is recorded: sizes are numbers, so that arithmetic with them, assertions and
loops do no harm. Only what depends on the images' values is not known. [Reed et al. 2022, "torch.fx", arXiv 2112.08429]
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
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

STRAIGHT = "remove conditions, loops and Python numbers that depend on what is in the images"
IN_INIT = "make every module in __init__, and only call it in forward"
# What tensors tell of themselves, whatever is in them.
ATTRIBUTES = ("shape", "ndim", "dtype", "device", "layout", "is_cuda", "requires_grad", "is_quantized", "is_sparse")
QUESTIONS = (
    "size",
    "dim",
    "ndimension",
    "numel",
    "nelement",
    "stride",
    "is_contiguous",
    "is_floating_point",
    "get_device",
)
READING = ("item", "tolist", "numpy")
HELD = "._orig_mod"  # in names of modules within what torch.compile made
IN_PLACE = (operator.iadd, operator.isub, operator.imul, operator.itruediv)


class Whole(nn.Module):
    """The model called with one input, whatever other arguments it could take; so its own hooks are traced too."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> Any:
        return self.model(x)


class Recorded(fx.Proxy):
    """A tensor whose operations are recorded, with what it is for the images of the recording."""

    value: Any = None

    def __getattr__(self, name: str) -> Any:
        if name in ATTRIBUTES or name in QUESTIONS:
            return getattr(self.value, name)
        return super().__getattr__(name)

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        return iter([operator.getitem(self, i) for i in range(len(self.value))])


def held(model: nn.Module) -> nn.Module:
    """The model that `torch.compile` made another of; any other as it is."""
    inner = model._modules.get("_orig_mod")
    return model if inner is None else held(inner)


class _Failure(Exception):
    """An operation that does not take its input."""


class Tracer(fx.Tracer):
    """Computes every operation as it is recorded, notes the user's line at it, and takes the layers and functions that
    have a counterpart whole.

    Parameters
    ----------
    inputs : torch.Tensor
        The images.

    Attributes
    ----------
    values : dict
        What each operation gave; of tensors that depend on the images the shape. One that failed is not there.
    failure : Exception or None
        Why the recording ended early.
    reason : str
        The same for people.
    """

    def __init__(self, inputs: torch.Tensor) -> None:
        super().__init__(autowrap_functions=(binarise,))
        self.inputs = inputs
        self.values: dict[fx.Node, Any] = {}
        self.failure: Exception | None = None
        self.reason = ""
        self._computing = False

    def create_node(self, *args: Any, **options: Any) -> fx.Node:
        node = super().create_node(*args, **options)
        node.meta["place"] = calling_place(Whole.forward.__code__)
        return node

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        ours = any(isinstance(m, kind) and _forward(type(m)) is _forward(kind) for kind in LEAVES)
        return ours or super().is_leaf_module(m, module_qualified_name)

    def path_of_module(self, mod: nn.Module) -> str:
        """One without weights may be made where it is called."""
        try:
            return super().path_of_module(mod)
        except NameError:
            if any(True for _ in mod.parameters()) or any(True for _ in mod.buffers()):
                raise
            name = f"made_in_forward_{len(self.root._modules)}"
            self.root.add_module(name, mod)
            self.submodule_paths = {**(self.submodule_paths or {}), mod: name}
            return name

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        if self._computing:
            return forward(*args, **kwargs)
        inner = held(m)
        return super().call_module(m, forward, args, kwargs) if inner is m else inner(*args, **kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        return attr_val if self._computing else super().getattr(attr, attr_val, parameter_proxy_cache)

    def proxy(self, node: fx.Node) -> Recorded:
        return Recorded(node, self)

    def create_proxy(self, kind: str, target: Any, args: Any, kwargs: Any, *rest: Any, **options: Any) -> Any:
        proxy = super().create_proxy(kind, target, args, kwargs, *rest, **options)
        node = proxy.node
        try:
            value = self._compute(kind, target, *fx.node.map_aggregate((args, kwargs), _real))
        except Exception as error:  # whatever an operation raises for an input that it does not take
            self.failure, self.reason = error, f"{where_of(node)} fails on the calibration images: {reason_of(error)}"
            raise _Failure from error
        depends = kind == "placeholder" or any(self._depends(one) for one in node.all_input_nodes)
        self.values[node] = _shapes(value) if depends else value
        if not has_tensor(value) and not (depends and operation_of(node) in READING):
            return value  # a size
        assert isinstance(proxy, Recorded)
        proxy.value = value
        first = args[0] if args else None
        if isinstance(first, Recorded) and self._in_place(kind, target, kwargs):
            first.node = node  # whoever holds that tensor sees it changed
        return proxy

    def _depends(self, node: fx.Node) -> bool:
        return has_tensor(self.values.get(node), of_images=True)

    def _in_place(self, kind: str, target: Any, options: dict[str, Any]) -> bool:
        if kind == "call_module":
            return bool(getattr(self.root.get_submodule(target), "inplace", False))
        name = str(getattr(target, "__name__", target)).partition(".")[0]
        return target in IN_PLACE or bool(options.get("inplace")) or (name.endswith("_") and not name.endswith("__"))

    def _compute(self, kind: str, target: Any, args: Any, options: Any) -> Any:
        if kind == "placeholder":
            return self.inputs
        self._computing = True
        try:
            if kind == "get_attr":
                return operator.attrgetter(target)(self.root)
            if kind == "call_module":
                return self.root.get_submodule(target)(*args, **options)
            if kind == "call_method":
                return getattr(args[0], target)(*args[1:], **options)
            return target(*args, **options)
        finally:
            self._computing = False


@dataclass(frozen=True)
class TensorShape:
    """The shape of a tensor, which is all that is kept of it."""

    shape: tuple[int, ...]


def _forward(kind: Any) -> Any:
    """The forward function of a kind of module."""
    return kind.forward


def _real(value: Any) -> Any:
    return value.value if isinstance(value, Recorded) else value


def _shapes(value: Any) -> Any:
    """`value` with the shapes of its tensors in their place."""
    if isinstance(value, torch.Tensor):
        return TensorShape(tuple(value.shape))
    return [_shapes(one) for one in value] if isinstance(value, (tuple, list)) else value


def has_tensor(value: Any, of_images: bool = False) -> bool:
    """Whether there is a tensor in a value, or one that depends on the images."""
    if isinstance(value, (tuple, list)):
        return any(has_tensor(one, of_images) for one in value)
    return isinstance(value, TensorShape if of_images else (TensorShape, torch.Tensor))


def where_of(node: fx.Node) -> str:
    """Place and name of an operation."""
    name = str(node.target).removeprefix("model.").replace(HELD, "") if node.op == "call_module" else operation_of(node)
    return ": ".join(filter(None, (node.meta.get("place", ""), name)))


def operation_of(node: fx.Node) -> str:
    """Name of the function or method that an operation calls; of an exported program's that of the operator."""
    if isinstance(node.target, torch._ops.OpOverload):
        return str(node.target._schema.name).partition("::")[2]
    return str(getattr(node.target, "__name__", node.target))


def record(model: nn.Module, inputs: torch.Tensor) -> tuple[Whole, fx.Graph, Tracer]:
    """The operations of `model`, and what each gave for `inputs`; `NetworkError` if it cannot be traced."""
    whole, tracer = Whole(model), Tracer(inputs)
    with evaluating(model):
        try:
            graph = tracer.trace(whole)
        except _Failure:
            graph = tracer.graph  # an earlier operation may be one that cannot be mapped; that is then said first
        except Exception as error:  # TraceError, and anything that the user's code does with what is no tensor
            place = raising_place(error)
            hint = IN_INIT if isinstance(error, NameError) else STRAIGHT
            where = ": ".join(filter(None, (place, f"{type(model).__name__} cannot be traced")))
            raise NetworkError(f"{where} ({reason_of(error)}); {hint}") from error
    return whole, graph, tracer
