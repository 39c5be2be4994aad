"""The graph that onnx2torch makes of ONNX, in plain operations of PyTorch.

onnx2torch gives a `torch.fx.GraphModule` of torch.nn's modules and of its own; its own are opened here. Values that do
not depend on the images, but at most on their size, are computed once and become constants, as ONNX computes shapes in
many small steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn

from host_train.foreign.onnx_bits import with_bits
from pynq_cnn.errors import NetworkError

Shape = tuple[int, ...]
END = 1 << 31  # as the end of a slice, this and more is no end


def plain(converted: fx.GraphModule, images: torch.Tensor) -> fx.GraphModule:
    """`converted` in torch.nn's modules and PyTorch's functions alone, for batches of any size.

    Parameters
    ----------
    converted : torch.fx.GraphModule
        From onnx2torch, with one input.
    images : torch.Tensor
        What it takes, for the shapes.

    Raises
    ------
    NetworkError
        For an operation between the images of a batch.
    """
    live = _live(converted.graph)
    values = _Values(converted.eval(), live)
    with torch.no_grad():
        values.run(images)
    opened = _Opened(converted, live, values.found)
    opened.run(images)
    return with_bits(fx.GraphModule(converted, opened.tracer.graph).eval())


def _live(graph: fx.Graph) -> set[fx.Node]:
    """The nodes whose values depend on the images, and not on their size alone."""
    live: set[fx.Node] = set()
    modules = graph.owning_module
    assert modules is not None
    for node in graph.nodes:
        sized = node.op == "call_module" and _kind(modules.get_submodule(str(node.target))) == "OnnxShape"
        if node.op == "placeholder" or (not sized and any(one in live for one in node.all_input_nodes)):
            live.add(node)
    return live


def _kind(module: nn.Module) -> str:
    return type(module).__name__


class _Values(fx.Interpreter):
    """The shapes of what depends on the images, and the values of all else."""

    def __init__(self, module: fx.GraphModule, live: set[fx.Node]) -> None:
        super().__init__(module)
        self.live = live
        self.found: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        shaped = isinstance(value, torch.Tensor) and n in self.live
        self.found[n] = tuple(value.shape) if shaped else value
        return value

    def call_module(self, target: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        module = self.fetch_attr(target)
        if _kind(module) != "OnnxSlice":
            return super().call_module(target, args, kwargs)
        # onnx2torch indexes by a list, which PyTorch is about to take for something else.
        return _sliced(args[0], args[0].ndim, *args[1:], **kwargs)


class _Tracer(fx.proxy.GraphAppendingTracer):
    """Records operations under the names of the ONNX nodes that they are of; tensors among their arguments become
    buffers.
    """

    def __init__(self, graph: fx.Graph, root: nn.Module) -> None:
        super().__init__(graph)
        self.root, self.naming, self.constants = root, "", 0

    def create_node(self, kind: str, target: Any, args: Any, kwargs: Any, *rest: Any, **options: Any) -> fx.Node:
        return self.graph.create_node(kind, target, args, kwargs, self.naming or None)

    def create_arg(self, a: Any) -> Any:
        if not isinstance(a, torch.Tensor):
            return super().create_arg(a)
        name = f"constant_{self.constants}"
        self.constants += 1
        self.root.register_buffer(name, a.detach().clone())
        return self.graph.create_node("get_attr", name, (), {}, name)


class _Opened(fx.Interpreter):
    """Runs the graph with proxies for what depends on the images, so that what the modules of onnx2torch do with them
    is recorded.
    """

    def __init__(self, module: fx.GraphModule, live: set[fx.Node], found: dict[fx.Node, Any]) -> None:
        super().__init__(module)
        self.live, self.found = live, found
        self.tracer = _Tracer(fx.Graph(), module)
        self.now: fx.Node | None = None

    def run_node(self, n: fx.Node) -> Any:
        if n not in self.live and n.op != "output":
            return self.found[n]
        self.now, self.tracer.naming = n, n.name
        if n.op == "placeholder":
            return fx.Proxy(self.tracer.graph.placeholder(n.name), self.tracer)
        if n.op == "output":
            given = fx.node.map_arg(n.args[0], lambda one: self.env[one].node)
            return self.tracer.graph.output(given)
        return super().run_node(n)

    def call_module(self, target: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        module = self.fetch_attr(target)
        assert isinstance(module, nn.Module)
        special = SPECIAL.get(_kind(module))
        if special is not None:
            return special(self, module, *args, **kwargs)
        if type(module).__module__.startswith("torch.nn."):
            return self.record(target, args, kwargs)
        return module(*args, **kwargs)

    def record(self, target: str, args: tuple, kwargs: dict[str, Any]) -> fx.Proxy:
        """The call of a module as it is."""
        return self.tracer.create_proxy("call_module", target, args, kwargs)

    def replaced(self, module: nn.Module, x: fx.Proxy) -> fx.Proxy:
        """The call of another module in the place of this one."""
        assert self.now is not None and isinstance(self.module, nn.Module)
        target = str(self.now.target)
        self.module.add_module(target, module.eval())
        return self.record(target, (x,), {})

    def shapes(self) -> tuple[Shape, Shape]:
        """Of the first input and the output of the present node."""
        assert self.now is not None
        return self.found[self.now.all_input_nodes[0]], self.found[self.now]


def _sliced(x: Any, rank: int, starts: torch.Tensor, ends: torch.Tensor, axes: Any = None, steps: Any = None) -> Any:
    """A part of a tensor; of one that depends on the images forwards only, as PyTorch has no other slices."""
    places = range(len(starts)) if axes is None else axes.tolist()
    strides = [1] * len(starts) if steps is None else steps.tolist()
    index: list[Any] = [slice(None)] * rank
    for place, start, end, stride in zip(places, starts.tolist(), ends.tolist(), strides):
        if stride > 0:
            index[place] = slice(start, end if end < END else None, stride)
        elif isinstance(x, fx.Proxy):
            raise NetworkError("a Slice backwards cannot be mapped; flip images before they get to the model")
        else:
            chosen = range(x.shape[place])[slice(start, end if end > -END else None, stride)]
            x = x.index_select(place, torch.tensor(list(chosen), dtype=torch.int64))
    return x[tuple(index)]


def _slice(opened: _Opened, module: nn.Module, x: Any, *args: Any, **kwargs: Any) -> Any:
    return _sliced(x, len(opened.shapes()[0]), *args, **kwargs)


def _pad(opened: _Opened, module: nn.Module, x: Any, pads: Any, constant_value: Any = 0.0) -> Any:
    return module(x, pads, float(constant_value))


def _reshape(opened: _Opened, module: nn.Module, x: Any, *args: Any, **kwargs: Any) -> Any:
    before, after = opened.shapes()
    if after[:1] != before[:1]:
        raise NetworkError(
            f"{opened.now}: making {after} of {before} moves values between images, which cannot be mapped; export the"
            " model again with a batch of any size (dynamic_axes or dynamic_shapes)"
        )
    return torch.reshape(x, (-1, *after[1:]))


def _global_average(opened: _Opened, module: nn.Module, x: fx.Proxy) -> Any:
    sides = len(opened.shapes()[0]) - 2
    return opened.replaced({1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}[sides](1), x)


def _flatten(opened: _Opened, module: nn.Module, x: Any) -> Any:
    return torch.flatten(x, 1) if len(opened.shapes()[1]) == 2 and module.axis == 1 else module(x)


def _softmax(opened: _Opened, module: nn.Module, x: fx.Proxy) -> Any:
    """Of opset 11 and older: over everything from an axis on."""
    if len(opened.shapes()[0]) != 2 or module.axis not in (1, -1):
        return module(x)
    return opened.replaced(nn.LogSoftmax(1) if module.is_log else nn.Softmax(1), x)


def _matmul(opened: _Opened, module: nn.Module, x: Any, y: Any) -> Any:
    """A product with weights is a linear layer."""
    if not (isinstance(x, fx.Proxy) and isinstance(y, torch.Tensor) and y.ndim == 2):
        return module(x, y)
    linear = nn.Linear(y.shape[0], y.shape[1], bias=False)
    linear.weight = nn.Parameter(y.detach().t().contiguous())
    return opened.replaced(linear, x)


def _prelu(opened: _Opened, module: nn.Module, x: Any, slope: Any) -> Any:
    """With a slope for each channel, or one for all."""
    by_channel = slope.numel() == 1 or tuple(slope.shape) == (opened.shapes()[0][1], *[1] * (slope.ndim - 1))
    if not by_channel:
        raise NetworkError(f"{opened.now}: slopes of {tuple(slope.shape)} cannot be mapped; use one for each channel")
    return torch.prelu(x, slope.reshape(-1))


def _is_sigmoid_of(opened: _Opened, gate: Any, x: Any) -> bool:
    if not (isinstance(gate, fx.Proxy) and isinstance(x, fx.Proxy) and gate.node.op == "call_module"):
        return False
    return isinstance(opened.fetch_attr(str(gate.node.target)), nn.Sigmoid) and gate.node.args[0] is x.node


def _arithmetic(opened: _Opened, module: nn.Module, first: Any, second: Any) -> Any:
    """The addition of numbers behind a product with weights is the linear layer's bias; the product of numbers and
    their own sigmoid is an activation that has a name.
    """
    if module.math_op_function is torch.mul:
        for x, gate in ((first, second), (second, first)):
            if _is_sigmoid_of(opened, gate, x):
                return opened.replaced(nn.SiLU(), x)
    x, constant = (first, second) if isinstance(first, fx.Proxy) else (second, first)
    if module.math_op_function is torch.add and isinstance(constant, torch.Tensor) and x.node.op == "call_module":
        assert opened.now is not None
        linear = opened.fetch_attr(str(x.node.target))
        taken = opened.now.all_input_nodes[0 if x is first else -1]
        fits = isinstance(linear, nn.Linear) and constant.numel() == linear.out_features == constant.shape[-1]
        if fits and linear.bias is None and len(taken.users) == 1:
            linear.bias = nn.Parameter(constant.detach().reshape(-1).clone())
            return x
    if getattr(module.math_op_function, "__name__", "") == "_onnx_div":  # asks for types, which proxies do not have
        return torch.div(first, second)
    return module(first, second)


SPECIAL: dict[str, Callable[..., Any]] = {
    "OnnxReshape": _reshape,
    "OnnxGlobalAveragePool": _global_average,
    "OnnxGlobalAveragePoolWithKnownInputShape": _global_average,
    "OnnxFlatten": _flatten,
    "OnnxSlice": _slice,
    "OnnxPadDynamic": _pad,
    "OnnxSoftmaxV1V11": _softmax,
    "OnnxMatMul": _matmul,
    "OnnxPReLU": _prelu,
    "OnnxBinaryMathOperation": _arithmetic,
}
