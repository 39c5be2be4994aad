"""ONNX files, as models of PyTorch: read by onnx and onnx2torch, and held against what ONNX's own rules give."""

from __future__ import annotations

import os
import re
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from host_train.foreign.onnx_graph import attribute, channels_first, flatten_channels_first, to_known_opset
from host_train.foreign.onnx_libraries import load_onnx2torch, load_onnx_library
from host_train.foreign.onnx_plain import plain
from host_train.foreign.onnx_quantised import without_quantisation
from host_train.reason import reason_of
from host_train.tracing.calibration import channels_last
from host_train.tracing.convert import from_torch
from host_train.tracing.operations import advice
from pynq_cnn.errors import ArgumentError, NetworkError
from pynq_cnn.model import InputSpec, Network

Shape = tuple[int, ...]
QUANTISED = (
    "is quantised already: its weights are taken as they are, the steps of its activations are found anew on the"
    " calibration images"
)
CLOSE = 1e-3  # of the largest output


def from_onnx(path: str | os.PathLike[str], calibration_data: Any, *, name: str, **options: Any) -> Network:
    """A trained model of an ONNX file in integers, for any backend.

    Parameters
    ----------
    path : path
        The file. The model takes one float32 tensor [n, channels, height, width] (or [n, height, width, channels], if
        the first that it does is to transpose that), and gives one.
    calibration_data, name, **options
        As of `host_train.from_torch`; images are [n, channels, height, width] as there.

    Returns
    -------
    Network
        As of `host_train.from_torch`.

    Raises
    ------
    ArgumentError
        If the file cannot be read, or an argument is unusable.
    NetworkError
        If the model cannot be mapped: names the node.

    Warns
    -----
    UserWarning
        As `host_train.from_torch`; and if the model is in integers already, whose steps are then found anew.

    Examples
    --------
    >>> from_onnx("nowhere.onnx", np.zeros((1, 8, 8, 3), np.uint8), name="mine")
    Traceback (most recent call last):
    ...
    pynq_cnn.errors.ArgumentError: nowhere.onnx: there is no such file
    """
    model = load_onnx(path, _shape_of(calibration_data, options.get("spec")))
    return from_torch(model, calibration_data, name=name, **options)


def _shape_of(data: Any, spec: InputSpec | None) -> Shape | None:
    """(channels, height, width) of images, where that can be told without reading them."""
    if isinstance(spec, InputSpec):
        return spec.channels, spec.height, spec.width
    if isinstance(data, torch.Tensor) and data.ndim == 4:
        return tuple(data.shape[1:])
    if isinstance(data, np.ndarray) and data.ndim == 4:
        last = data.dtype == np.uint8 and channels_last(data, None)
        return (data.shape[3], *data.shape[1:3]) if last else data.shape[1:]
    return None


def load_onnx(path: str | os.PathLike[str], shape: Shape | None = None) -> nn.Module:
    """The model of an ONNX file, of torch.nn's modules and PyTorch's functions, for batches of any size.

    Parameters
    ----------
    path : path
        The file.
    shape : tuple of int, optional
        (channels, height, width) of an image, where the file leaves it open.

    Raises
    ------
    ArgumentError
        If the file cannot be read.
    NetworkError
        If the model takes or gives other than one tensor, or has an operation that is not known; names the node.
    """
    file = Path(path)
    model = _read(file)
    try:
        _check_ends(model)
        channels_first(model)
        images = _images(model, shape)
        if without_quantisation(model):
            warnings.warn(f"{file} {QUANTISED}", stacklevel=3)
        made = _made(model, images)
        type(made).__name__ = re.sub(r"\W", "_", file.stem) or "Model"
        _check_values(model, made, images)
    except NetworkError as error:
        raise NetworkError(f"{file}: {error}", error.layer) from error
    return made


def _read(file: Path) -> Any:
    """The file's model, with the weights that lie beside it."""
    if not file.is_file():
        raise ArgumentError(f"{file}: there is no such file")
    onnx = load_onnx_library()
    load_onnx2torch()
    try:
        model = onnx.load(str(file), load_external_data=False)
    except Exception as error:  # whatever protobuf raises
        raise ArgumentError(f"{file} is no ONNX model: {reason_of(error)}") from error
    try:
        onnx.load_external_data_for_model(model, str(file.parent))
    except Exception as error:  # of files, and of onnx's checker
        raise ArgumentError(
            f"{file} has weights in another file, which cannot be read: {reason_of(error)}; put both in one folder"
        ) from error
    try:
        onnx.checker.check_model(model)
    except Exception as error:
        raise ArgumentError(f"{file} is no valid ONNX model: {reason_of(error)}") from error
    return model


def _made(model: Any, images: np.ndarray) -> nn.Module:
    """The model in PyTorch."""
    onnx = load_onnx_library()
    known = onnx.ModelProto.FromString(model.SerializeToString())
    to_known_opset(known)
    flatten_channels_first(known)
    onnx2torch = load_onnx2torch()
    _check_nodes(known, onnx2torch.node_converters.registry.get_converter)
    try:
        return plain(onnx2torch.convert(known), torch.from_numpy(images))
    except NetworkError:
        raise
    except Exception as error:  # whatever onnx2torch raises for what it does not take
        raise NetworkError(f"onnx2torch cannot read it: {reason_of(error)}") from error


def _check_ends(model: Any) -> None:
    """See that it takes one tensor, of images, and gives one."""
    onnx = load_onnx_library()
    graph = model.graph
    constants = {one.name for one in graph.initializer}
    for one in [one for one in graph.input if one.name in constants]:  # as files of old have them
        graph.input.remove(one)
    for what, ends in (("takes", graph.input), ("gives", graph.output)):
        if len(ends) != 1:
            names = ", ".join(one.name for one in ends)
            raise NetworkError(f"it {what} {len(ends)} tensors ({names}); export one that {what} a single one")
    tensor = graph.input[0].type.tensor_type
    if tensor.elem_type != onnx.TensorProto.FLOAT:
        kind = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        raise NetworkError(f"its input {graph.input[0].name} is {kind}; export the model in float32")
    if len(tensor.shape.dim) != 4:
        raise NetworkError(
            f"its input {graph.input[0].name} is {_told(tensor)}, not [n, channels, height, width]; export a model of"
            " images"
        )


def _told(tensor: Any) -> str:
    return f"[{', '.join(str(one.dim_value or one.dim_param or '?') for one in tensor.shape.dim)}]"


def _images(model: Any, shape: Shape | None) -> np.ndarray:
    """Images to run it with, two where it takes any number; what the file leaves open is then said in it."""
    (given,) = model.graph.input
    tensor = given.type.tensor_type
    count, *sides = tensor.shape.dim
    wanted = [one.dim_value for one in sides]
    if not all(wanted):
        if shape is None:
            raise NetworkError(
                f"its input {given.name} is {_told(tensor)}, which leaves the size of images open; give the spec of"
                " the input, or calibration images as one array"
            )
        wanted = [one or side for one, side in zip(wanted, shape)]
        for one, side in zip(sides, wanted):
            one.dim_value = side
        del model.graph.value_info[:]
    if wanted[0] > 4 and wanted[2] <= 4:
        raise NetworkError(
            f"its input {given.name} is {_told(tensor)}, with the channels last; export it with the channels first"
        )
    return np.random.default_rng(0).normal(size=(count.dim_value or 2, *wanted)).astype(np.float32)


def _check_nodes(model: Any, get_converter: Any) -> None:
    """See that every operation is known; names the first that is not."""
    versions = {one.domain: one.version for one in model.opset_import}
    for node in model.graph.node:
        try:
            get_converter(node.op_type, versions.get(node.domain, 1), node.domain)
        except NotImplementedError as error:
            where = f"{node.name}: " if node.name else ""
            domain = f"{node.domain}." if node.domain else ""
            raise NetworkError(
                f"{where}a {domain}{node.op_type} cannot be mapped; {_advice(node.op_type)}", node.name
            ) from error


def _advice(operation: str) -> str:
    on_integers = operation.startswith(("QLinear", "QGemm")) or operation.endswith("Integer")
    return "export the model as QDQ, or in floating point" if on_integers else advice(operation)


def _check_values(model: Any, made: nn.Module, images: np.ndarray) -> None:
    """Hold what was read against ONNX's own rules."""
    given = model.graph.input[0].name
    try:
        expected = _run(model, {given: images})
    except Exception as error:  # whatever a runtime raises
        raise NetworkError(f"it does not run on images {images.shape}: {reason_of(error)}") from error
    with torch.no_grad():
        found = made(torch.from_numpy(images)).numpy()
    if found.shape != expected.shape or not np.allclose(found, expected, CLOSE, CLOSE * np.abs(expected).max()):
        raise NetworkError(
            f"onnx2torch reads it as another model: on images of noise it gives {found.shape} up to"
            f" {np.abs(found).max():.4g}, by ONNX's rules it is {expected.shape} up to {np.abs(expected).max():.4g};"
            " export it again with another opset_version"
        )


def _batch_norm() -> type:
    """Batch norm for the definitions of onnx, which mix the statistics of the images into it in opsets 9 to 13."""

    class BatchNormalization(import_module("onnx.reference.op_run").OpRun):  # type: ignore[misc]
        op_domain = ""

        def _run(self, x: Any, scale: Any, bias: Any, mean: Any, var: Any, **options: Any) -> tuple[Any]:
            along, epsilon = (-1, *[1] * (x.ndim - 2)), attribute(self.onnx_node, "epsilon", 1e-5)
            scale, bias, mean, var = (one.reshape(along) for one in (scale, bias, mean, var))
            return ((scale * (x - mean) / np.sqrt(var + epsilon) + bias).astype(x.dtype),)

    return BatchNormalization


def _run(model: Any, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """A model's outputs: by ONNX Runtime where it is installed, else by the slow definitions of onnx."""
    try:
        onnxruntime = import_module("onnxruntime")
    except ImportError:
        evaluator = import_module("onnx.reference").ReferenceEvaluator(model, new_ops=[_batch_norm()])
        return evaluator.run(None, inputs)[0]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0]
