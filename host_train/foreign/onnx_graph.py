"""ONNX graphs in the form in which onnx2torch takes them: of an opset that it knows, with the channels first, without
the quantisation of other tools. What is changed here changes no value, but for that of quantisation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from host_train.foreign.onnx_libraries import load_onnx_library
from pynq_cnn.errors import NetworkError

OPSET = 17  # whose operations onnx2torch knows; later ones allow more types, and write a few arguments in other places
OLDEST = 7
CHANNELS_LAST = [0, 3, 1, 2]  # the transposition of what has them last


def initializers(graph: Any) -> dict[str, np.ndarray]:
    """The constants of a graph by name, those of Constant nodes among them."""
    onnx = load_onnx_library()
    found = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    for node in graph.node:
        value = attribute(node, "value") if node.op_type == "Constant" else None
        if value is not None:
            found[node.output[0]] = onnx.numpy_helper.to_array(value)
    return found


def attribute(node: Any, name: str, default: Any = None) -> Any:
    """The value of an attribute of a node."""
    onnx = load_onnx_library()
    return next((onnx.helper.get_attribute_value(one) for one in node.attribute if one.name == name), default)


def take_instead(graph: Any, old: str, new: str) -> None:
    """Have all that takes one tensor take another, outputs of the graph among them."""
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name == old:
                node.input[place] = new
    if any(output.name == old for output in graph.output):
        for node in graph.node:
            for place, name in enumerate(node.output):
                if name == new:
                    node.output[place] = old
            for place, name in enumerate(node.input):
                if name == new:
                    node.input[place] = old


def channels_first(model: Any) -> bool:
    """Remove the transposition of images that have their channels last, if the model begins with it; whether it did."""
    graph = model.graph
    (given,) = graph.input
    dims = given.type.tensor_type.shape.dim
    takers = [node for node in graph.node if given.name in node.input]
    if len(dims) != 4 or len(takers) != 1 or takers[0].op_type != "Transpose":
        return False
    if list(attribute(takers[0], "perm", [])) != CHANNELS_LAST:
        return False
    order = [dims[place] for place in CHANNELS_LAST]
    kept = [type(one).FromString(one.SerializeToString()) for one in order]
    del dims[:]
    dims.extend(kept)
    graph.node.remove(takers[0])
    take_instead(graph, takers[0].output[0], given.name)
    return True


def flatten_channels_first(model: Any) -> None:
    """Have channels last only for a flattening no more: the weights behind it take their inputs in another order."""
    onnx = load_onnx_library()
    graph = model.graph
    known = onnx.shape_inference.infer_shapes(model).graph
    shapes = {one.name: [d.dim_value for d in one.type.tensor_type.shape.dim] for one in known.value_info}
    constants = {one.name: one for one in graph.initializer}
    for node in list(graph.node):
        if node.op_type != "Transpose" or list(attribute(node, "perm", [])) != [0, 2, 3, 1]:
            continue
        flat = _only_taker(graph, node.output[0], "Reshape", "Flatten")
        product = None if flat is None else _only_taker(graph, flat.output[0], "MatMul", "Gemm")
        sides = shapes.get(node.input[0], [])[1:]
        if product is None or product.input[1] not in constants or len(sides) != 3 or not all(sides):
            continue
        channels, height, width = sides
        weight = onnx.numpy_helper.to_array(constants[product.input[1]])
        turned = bool(attribute(product, "transB", 0))
        rows = weight.T if turned else weight
        if len(rows) != channels * height * width:
            continue
        rows = rows.reshape(height, width, channels, -1).transpose(2, 0, 1, 3).reshape(len(rows), -1)
        name = f"{product.input[1]} of {node.output[0]}"
        ordered = np.ascontiguousarray(rows.T if turned else rows)
        graph.initializer.append(onnx.numpy_helper.from_array(ordered, name))
        product.input[1] = name
        graph.node.remove(node)
        take_instead(graph, node.output[0], node.input[0])


def _only_taker(graph: Any, name: str, *kinds: str) -> Any:
    """The node of one of these kinds that alone takes a tensor, first of its inputs; None if there is none such."""
    takers = [node for node in graph.node if name in node.input]
    alone = len(takers) == 1 and not any(output.name == name for output in graph.output)
    return takers[0] if alone and takers[0].op_type in kinds and takers[0].input[0] == name else None


def to_known_opset(model: Any) -> None:
    """Write the operations as those of `OPSET`; `NetworkError` if the model's is too old or too new."""
    onnx = load_onnx_library()
    opset = next((one for one in model.opset_import if one.domain in ("", "ai.onnx")), None)
    version = opset.version if opset is not None else 0
    newest = onnx.defs.onnx_opset_version()
    if version > newest:
        raise NetworkError(
            f"it is of opset {version}, and the installed onnx {onnx.__version__} knows {newest}; install a newer one,"
            f" or export the model again with opset_version={OPSET}"
        )
    if version < OLDEST:
        raise NetworkError(f"it is of opset {version}, which is too old; export it again with opset_version={OPSET}")
    if version <= OPSET or opset is None:
        return
    constants = initializers(model.graph)
    for node in model.graph.node:
        change = CHANGED.get(node.op_type)
        if change is not None:
            change(node, constants)
    opset.version = OPSET


def _without(node: Any, *names: str) -> None:
    for one in [one for one in node.attribute if one.name in names]:
        node.attribute.remove(one)


def _reduce(node: Any, constants: dict[str, np.ndarray]) -> None:
    """From 18 on, the axes are an input."""
    onnx = load_onnx_library()
    if len(node.input) == 2:
        if node.input[1] not in constants:
            raise NetworkError(f"{node.name}: {node.op_type} over axes that are computed cannot be mapped")
        node.attribute.append(onnx.helper.make_attribute("axes", constants[node.input[1]].tolist()))
        del node.input[1]
    _without(node, "noop_with_empty_axes")


def _reshape(node: Any, constants: dict[str, np.ndarray]) -> None:
    """A 0 that means 0 makes an empty tensor: none of a model that computes something."""
    _without(node, "allowzero")


def _split(node: Any, constants: dict[str, np.ndarray]) -> None:
    """From 18 on, the number of parts is given, and the last may be smaller."""
    _without(node, "num_outputs")


def _pad(node: Any, constants: dict[str, np.ndarray]) -> None:
    """From 18 on, padding may be of some axes."""
    if len(node.input) == 4 and node.input[3]:
        raise NetworkError(f"{node.name}: a Pad of some axes cannot be mapped; export it with opset_version={OPSET}")


CHANGED: dict[str, Callable[[Any, dict[str, np.ndarray]], None]] = {
    **dict.fromkeys(("ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceProd"), _reduce),
    "Reshape": _reshape,
    "Split": _split,
    "Pad": _pad,
}
