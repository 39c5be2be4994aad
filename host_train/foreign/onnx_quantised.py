"""ONNX graphs that are quantised already, in floating point again: QuantizeLinear and DequantizeLinear (QDQ, also with
a Clip between them, as brevitas writes it), Quant and BipolarQuant (QONNX).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from host_train.foreign.onnx_bits import takes_bits, write_sign, write_step
from host_train.foreign.onnx_graph import attribute, initializers, take_instead
from host_train.foreign.onnx_libraries import load_onnx_library
from pynq_cnn.errors import NetworkError

STEPS = ("QuantizeLinear", "DequantizeLinear")
QONNX = ("Quant", "IntQuant", "BipolarQuant")
# Operations whose results are at least 0, and those whose results are if what they take is.
AT_LEAST_0 = ("Relu", "Sigmoid", "Softmax")
ALIKE = ("MaxPool", "AveragePool", "GlobalAveragePool", "Concat", "Flatten", "Reshape", "Identity", "Dropout", *STEPS)


def without_quantisation(model: Any) -> bool:
    """Take the quantisation of other tools out of a model, which is found anew here, on calibration images; whether
    there was any.

    Weights stay the numbers that their integers, of any number of bits, stand for. Between layers only the lower bound
    of the bytes is kept, where it is 0: it stands for a ReLU, which such tools leave out. Activations of one bit stay
    signs (`host_train.foreign.onnx_bits`), and the step of bytes that weights of one bit take is kept with them.

    Raises
    ------
    NetworkError
        For activations of 2 to 7 bits: names the node.
    """
    graph = model.graph
    if not any(node.op_type in (*STEPS, *QONNX) for node in graph.node):
        return False
    _fold_weights(model)
    makers = {name: node for node in graph.node for name in node.output}
    bits = any(node.op_type == "BipolarQuant" for node in graph.node)
    for node in list(graph.node):
        if node.op_type == "DequantizeLinear":
            _take_out(model, node, makers)
        elif node.op_type in QONNX:
            _take_out_qonnx(model, node, makers, bits)
    _remove_unused(graph)
    return True


def _fold_weights(model: Any) -> None:
    """Compute what quantisation does to constants."""
    onnx = load_onnx_library()
    graph = model.graph
    constants = initializers(graph)
    for node in list(graph.node):
        if node.op_type not in (*STEPS, *QONNX, "Clip") or not all(name in constants for name in node.input if name):
            continue
        values = [constants[name] if name else None for name in node.input]
        value = _computed(node, values)
        constants[node.output[0]] = value
        graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), node.output[0]))
        graph.node.remove(node)


def _computed(node: Any, values: list[Any]) -> np.ndarray:
    """The result of an operation of quantisation on constants."""
    kind, x = node.op_type, values[0]
    if kind == "Clip":
        low, high = ([*values[1:], None, None])[:2]
        return x if low is None and high is None else np.clip(x, low, high)
    if kind == "BipolarQuant":
        return (np.where(x >= 0, 1.0, -1.0) * values[1]).astype(np.float32)
    scale, zero = values[1], values[2] if len(values) > 2 and values[2] is not None else np.zeros((), np.uint8)
    if kind in STEPS:
        along = [1] * x.ndim
        if scale.size > 1:
            along[attribute(node, "axis", 1)] = scale.size
        scale, zero = (values.reshape(along) if values.size > 1 else values.reshape(()) for values in (scale, zero))
    if kind == "DequantizeLinear":
        return ((x.astype(np.int64) - zero.astype(np.int64)) * scale).astype(np.float32)
    bounds = np.iinfo(zero.dtype) if kind in STEPS else None
    low, high = (bounds.min, bounds.max) if bounds is not None else _range(node, int(values[3]))
    whole = np.clip(np.round(x / scale) + zero, low, high)
    return whole.astype(zero.dtype) if bounds is not None else ((whole - zero) * scale).astype(np.float32)


def _range(node: Any, bits: int) -> tuple[int, int]:
    signed, narrow = bool(attribute(node, "signed", 1)), bool(attribute(node, "narrow", 0))
    return (-(1 << (bits - 1)) + narrow, (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1 - narrow)


def _take_out(model: Any, node: Any, makers: dict[str, Any]) -> None:
    """A DequantizeLinear, and the QuantizeLinear before it."""
    constants = initializers(model.graph)
    before = makers.get(node.input[0])
    low: Any = None
    if before is not None and before.op_type == "Clip":  # the integers of fewer bits
        bounds = [constants.get(name) for name in before.input[1:]]
        known = [int(bound) for bound in bounds if bound is not None]
        span = known[1] - known[0] if len(known) == 2 else 0
        if span < 254:
            raise _too_few(before, f"{span + 1} values")
        low, before = known[0], makers.get(before.input[0])
    if before is None or before.op_type != "QuantizeLinear":
        raise NetworkError(
            f"{node.name}: a DequantizeLinear of what no QuantizeLinear gives cannot be mapped; export the model in"
            " floating point",
            node.name,
        )
    zero = constants.get(before.input[2]) if len(before.input) > 2 and before.input[2] else np.zeros((), np.uint8)
    if zero is None or zero.size != 1 or zero.dtype not in (np.int8, np.uint8, np.int16, np.uint16):
        raise _too_few(before, "another kind of integers")
    low = np.iinfo(zero.dtype).min if low is None else low
    _connect(model, before.input[0], node, makers, at_least_0=int(low) == int(zero))


def _take_out_qonnx(model: Any, node: Any, makers: dict[str, Any], binary: bool) -> None:
    """A Quant or BipolarQuant of activations; `binary` is whether there are any of the latter."""
    constants = initializers(model.graph)
    if node.op_type == "BipolarQuant":
        write_sign(model, node)
        return
    bits, zero = constants.get(node.input[3]), constants.get(node.input[2])
    if bits is None or zero is None or int(bits) < 8:
        raise _too_few(node, "unknown" if bits is None else f"{int(bits)} bits")
    scale = constants.get(node.input[1])
    if binary and scale is not None and scale.size == 1 and takes_bits(model, node.output[0]):
        write_step(model, node, scale)
        return
    _connect(model, node.input[0], node, makers, at_least_0=_range(node, int(bits))[0] == float(zero))


def _too_few(node: Any, found: str) -> NetworkError:
    return NetworkError(
        f"{node.name}: a {node.op_type} of activations with {found} cannot be mapped; activations are bytes: train the"
        " model with 8 bits, or export it in floating point",
        node.name,
    )


def _connect(model: Any, source: str, node: Any, makers: dict[str, Any], at_least_0: bool) -> None:
    """Have what takes the quantised values take the values themselves; cut at 0, where the quantisation did."""
    onnx = load_onnx_library()
    graph = model.graph
    place = list(graph.node).index(node)
    graph.node.remove(node)
    if at_least_0 and not _is_at_least_0(source, makers):
        relu = onnx.helper.make_node("Relu", [source], [node.output[0]], name=f"{node.name}_relu")
        graph.node.insert(place, relu)
        makers[node.output[0]] = relu
    else:
        take_instead(graph, node.output[0], source)


def _is_at_least_0(name: str, makers: dict[str, Any]) -> bool:
    """Whether a tensor is at least 0 by what makes it; images are taken to be."""
    maker = makers.get(name)
    if maker is None or maker.op_type in AT_LEAST_0:
        return True
    return maker.op_type in ALIKE and all(_is_at_least_0(one, makers) for one in maker.input[:1])


def _remove_unused(graph: Any) -> None:
    """Remove nodes that nothing takes."""
    while True:
        taken = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
        unused = [node for node in graph.node if not taken & set(node.output)]
        if not unused:
            return
        for node in unused:
            graph.node.remove(node)
