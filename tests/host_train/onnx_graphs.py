"""ONNX graphs node by node, and files of them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from families import smooth_images
from torch import nn

if not find_spec("onnx") or not find_spec("onnx2torch"):
    pytest.skip(
        "ONNX IS NOT TESTED HERE: onnx and onnx2torch are not installed (pip install 'pynq-cnn[onnx]')",
        allow_module_level=True,
    )

import onnx
import onnx.reference
from onnx import TensorProto, helper, numpy_helper

SEEN = smooth_images(32)


def export(model: nn.Module, path: Path, images: torch.Tensor = SEEN[:2], any_batch: bool = True, **options) -> Path:
    """By the exporter that needs no further package."""
    sizes = {"input_names": ["image"], "dynamic_axes": {"image": {0: "n"}}} if any_batch else {}
    torch.onnx.export(model, (images if any_batch else images[:1],), str(path), dynamo=False, **sizes, **options)
    return path


def equal(ours, theirs, exact: bool = True) -> None:
    """Two networks in the same integers, however their layers are called; all but the same where batch norm was folded
    into floating-point weights by another hand.
    """
    assert len(ours.layers) == len(theirs.layers)
    octets = (SEEN.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
    from pynq_cnn.backends.cpu import CpuBackend

    with CpuBackend(ours) as one, CpuBackend(theirs) as other:
        logits = ours.logits(one.run(octets)), theirs.logits(other.run(octets))
    if exact:
        np.testing.assert_array_equal(*logits)
    assert np.abs(logits[0] - logits[1]).mean() < 0.05 * logits[1].std()


def constant(name: str, *shape: int) -> onnx.TensorProto:
    """Weights drawn by their name, whichever tests ran before."""
    values = np.random.default_rng(list(name.encode())).normal(size=shape) / np.sqrt(np.prod(shape[1:] or 1))
    return numpy_helper.from_array(values.astype(np.float32), name)


def made(nodes, constants=(), shape=("n", 3, 8, 8), opset=17, gives=("n", "k"), **graph) -> onnx.ModelProto:
    ends = {
        "inputs": [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        "outputs": [helper.make_tensor_value_info("logits", TensorProto.FLOAT, gives)],
    }
    ends.update(graph)
    whole = helper.make_graph(list(nodes), "made", initializer=list(constants), **ends)
    return helper.make_model(whole, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def saved(model: onnx.ModelProto, tmp_path: Path) -> Path:
    onnx.save(model, str(tmp_path / "made.onnx"))
    return tmp_path / "made.onnx"


def conv(given: str = "image", gives: str = "c", **options) -> onnx.NodeProto:
    return helper.make_node("Conv", [given, "w"], [gives], name="first", pads=[1, 1, 1, 1], **options)


def tail(given: str = "c", first: str = "Relu") -> list[onnx.NodeProto]:
    return [
        helper.make_node(first, [given], ["r"], name="act"),
        helper.make_node("GlobalAveragePool", ["r"], ["g"], name="pool"),
        helper.make_node("Flatten", ["g"], ["f"], name="flat"),
        helper.make_node("Gemm", ["f", "v"], ["logits"], name="last", transB=1),
    ]


WEIGHTS = [constant("w", 4, 3, 3, 3), constant("v", 5, 4)]
SMALL = smooth_images(24, 8)
