"""Bits of ONNX graphs: signs between layers (BipolarQuant of QONNX), and layers of one bit that take them.

In the graph a sign is written out in ONNX's own operations, so that ONNX's rules still say what it gives. What is read
of it has the layers of `host_train.layers.binary` where signs are multiplied with weights of one magnitude.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from host_train.foreign.onnx_graph import initializers
from host_train.foreign.onnx_libraries import load_onnx_library
from host_train.layers.binary import BinaryConv2d, BinaryLinear, Sign
from host_train.quantisation.sequential import pair
from pynq_cnn.errors import NetworkError

# What leaves signs signs: by these a layer takes the signs that were made before them.
ALIKE = (nn.MaxPool2d, nn.Flatten, nn.Identity, nn.Dropout, nn.Dropout2d)
SHAPING = (torch.flatten, torch.reshape, torch.squeeze, torch.permute, "flatten", "reshape", "view", "squeeze")


def write_sign(model: Any, node: Any) -> None:
    """A BipolarQuant in ONNX's operations: its scale where a value is at least 0, else the negated scale."""
    onnx = load_onnx_library()
    scale = initializers(model.graph).get(node.input[1])
    if scale is None or scale.size != 1 or float(scale) <= 0:
        raise NetworkError(f"{node.name}: a BipolarQuant must have one scale above 0; export it so", node.name)
    names = {name: f"{node.output[0]}_{name}" for name in ("zero", "high", "low", "below")}
    for name, value in (("zero", 0.0), ("high", float(scale)), ("low", -float(scale))):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(value, np.float32), names[name]))
    below = onnx.helper.make_node("Less", [node.input[0], names["zero"]], [names["below"]], name=f"{node.name}_below")
    sign = onnx.helper.make_node(
        "Where", [names["below"], names["low"], names["high"]], [node.output[0]], name=node.name
    )
    _instead(model.graph, node, [below, sign])


def write_step(model: Any, node: Any, scale: np.ndarray) -> None:
    """A Quant in front of weights of one bit as rounding to its step."""
    onnx = load_onnx_library()
    step, parts, whole = (f"{node.output[0]}_{name}" for name in ("step", "parts", "whole"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(scale, np.float32).reshape(()), step))
    made = (
        ("Div", [node.input[0], step], parts),
        ("Round", [parts], whole),
        ("Mul", [whole, step], node.output[0]),
    )
    nodes = [onnx.helper.make_node(kind, given, [gives], name=f"{node.name}_{kind}") for kind, given, gives in made]
    _instead(model.graph, node, nodes)


def _instead(graph: Any, node: Any, nodes: list[Any]) -> None:
    place = list(graph.node).index(node)
    graph.node.remove(node)
    for offset, one in enumerate(nodes):
        graph.node.insert(place + offset, one)


def takes_bits(model: Any, name: str) -> bool:
    """Whether a tensor goes into convolutions alone whose weights are of one bit."""
    constants = initializers(model.graph)
    users = [node for node in model.graph.node if name in node.input]
    return bool(users) and all(
        node.op_type == "Conv" and node.input[0] == name and _is_of_one_bit(constants.get(node.input[1]))
        for node in users
    )


def _is_of_one_bit(weight: Any) -> bool:
    """Whether the weights [out, ...] of each output have one magnitude."""
    if weight is None:
        return False
    sizes = np.abs(np.asarray(weight)).reshape(len(weight), -1)
    return bool((sizes > 0).all() and (sizes == sizes[:, :1]).all())


def with_bits(module: fx.GraphModule) -> fx.GraphModule:
    """`module` with signs as `Sign`, and with binary layers where signs, or the steps of images, meet weights of one
    bit. `NetworkError` for such a layer that no binary layer is.
    """
    for node in list(module.graph.nodes):
        if node.target is torch.where:
            _read_sign(module, node)
    if not any(isinstance(one, Sign) for one in module.modules()):
        return module
    for node in list(module.graph.nodes):
        layer = _layer(module, node)
        if isinstance(layer, (nn.Conv2d, nn.Linear)) and _is_of_one_bit(layer.weight.detach().numpy()):
            _read_layer(module, node, layer)
    module.graph.eliminate_dead_code()
    module.recompile()
    return module


def _layer(module: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    return module.get_submodule(str(node.target)) if node.op == "call_module" else None


def _constant(module: fx.GraphModule, value: Any) -> Any:
    """The number that an argument is, if it is one."""
    if isinstance(value, fx.Node) and value.op == "get_attr":
        value = getattr(module, str(value.target))
    if isinstance(value, torch.Tensor):
        return float(value) if value.numel() == 1 else None
    return value if isinstance(value, (int, float)) else None


def _read_sign(module: fx.GraphModule, node: fx.Node) -> None:
    """`torch.where(x < 0, -s, s)`."""
    condition, low, high = node.args
    scale = _constant(module, high)
    of_sign = isinstance(condition, fx.Node) and condition.target in (torch.less, torch.lt)
    if not of_sign or scale is None or scale <= 0 or _constant(module, low) != -scale:
        return
    assert isinstance(condition, fx.Node)
    x, zero = condition.args
    if _constant(module, zero) != 0:
        return
    name = f"{node.name}_sign"
    module.add_module(name, Sign())
    with module.graph.inserting_before(node):
        made = module.graph.call_module(name, (x,))
        if scale != 1:
            made = module.graph.call_function(torch.mul, (made, scale))
    node.replace_all_uses_with(made)


def _sign_behind(module: fx.GraphModule, value: Any) -> float | None:
    """The magnitude of a tensor of signs; None for another."""
    if not isinstance(value, fx.Node):
        return None
    layer = _layer(module, value)
    if isinstance(layer, Sign):
        return 1.0
    if isinstance(layer, ALIKE) or value.target in SHAPING:
        return _sign_behind(module, value.args[0])
    if value.target is torch.mul:
        factor, size = _constant(module, value.args[1]), _sign_behind(module, value.args[0])
        return None if factor is None or size is None or factor <= 0 else factor * size
    return None


def _step_behind(module: fx.GraphModule, value: Any) -> tuple[Any, float] | None:
    """The tensor that is rounded to multiples of a step, and the step, where a tensor is that."""
    if not isinstance(value, fx.Node) or value.target is not torch.mul:
        return None
    whole, step = value.args[0], _constant(module, value.args[1])
    if not isinstance(whole, fx.Node) or whole.target is not torch.round or step is None:
        return None
    parts = whole.args[0]
    if not isinstance(parts, fx.Node) or parts.target is not torch.div or _constant(module, parts.args[1]) != step:
        return None
    return parts.args[0], step


def _read_layer(module: fx.GraphModule, node: fx.Node, layer: nn.Conv2d | nn.Linear) -> None:
    size, given, step = _sign_behind(module, node.args[0]), node.args[0], None
    if size is None:
        found = _step_behind(module, given)
        if found is None:
            return
        given, step = found
        size = 1.0
    factor, bias = layer.weight.detach().abs().reshape(len(layer.weight), -1)[:, 0] * size, layer.bias
    made: BinaryConv2d | BinaryLinear
    if isinstance(layer, nn.Conv2d):
        made = _convolution(node, layer, step)
    else:
        made = BinaryLinear(layer.in_features, layer.out_features)
        made.scale = float(factor[0]) if bool((factor == factor[0]).all()) else 1.0
        factor = factor / made.scale
        if bias is not None and bool((factor == 1).all()):
            made.bias, bias = nn.Parameter(bias.detach().clone()), None
    made.weight = nn.Parameter(layer.weight.detach().sign())
    module.add_module(str(node.target), made.eval())
    node.args = (given,)
    _scale_behind(module, node, factor, bias)


def _convolution(node: fx.Node, layer: nn.Conv2d, step: float | None) -> BinaryConv2d:
    sides, padding = layer.kernel_size, pair(layer.padding) if not isinstance(layer.padding, str) else None
    plain = (layer.groups, *pair(layer.dilation), *pair(layer.stride)) == (1, 1, 1, 1, 1)
    if not plain or sides[0] != sides[1] or padding is None or padding[0] != padding[1]:
        raise NetworkError(
            f"{node.name}: a convolution of bits with kernel {tuple(sides)}, stride {tuple(pair(layer.stride))},"
            f" {layer.groups} group(s) and dilation {tuple(pair(layer.dilation))} cannot be mapped; BinaryConv2d has"
            " square kernels, equal padding, and stride, groups and dilation 1"
        )
    return BinaryConv2d(layer.in_channels, layer.out_channels, sides[0], padding[0], input_step=step)


def _scale_behind(module: fx.GraphModule, node: fx.Node, factor: torch.Tensor, bias: torch.Tensor | None) -> None:
    """Put the real factor and bias of a layer of bits behind it, as operations."""
    rank = (-1, 1, 1) if isinstance(_layer(module, node), BinaryConv2d) else (-1,)
    last = node
    parts: tuple[tuple[Callable[..., Any], str, torch.Tensor | None, float], ...] = (
        (torch.mul, "scale", factor, 1.0),
        (torch.add, "bias", bias, 0.0),
    )
    for function, what, values, neutral in parts:
        if values is None or bool((values == neutral).all()):
            continue
        name, users = f"{node.name}_{what}", list(last.users)
        module.register_buffer(name, values.detach().reshape(rank).clone())
        with module.graph.inserting_after(last):
            constant = module.graph.get_attr(name)
        with module.graph.inserting_after(constant):
            made = module.graph.call_function(function, (last, constant))
        for user in users:
            user.replace_input_with(last, made)
        last = made
