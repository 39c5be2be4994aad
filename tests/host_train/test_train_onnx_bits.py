"""QONNX graphs of one bit, as brevitas and FINN write them: the same bits, or a refusal by name."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families import smooth_images

if not find_spec("onnx") or not find_spec("onnx2torch"):
    pytest.skip(
        "ONNX IS NOT TESTED HERE: onnx and onnx2torch are not installed (pip install 'pynq-cnn[onnx]')",
        allow_module_level=True,
    )

import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from host_train import from_onnx
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import BinaryConv2d, Conv2d

DOMAIN = "qonnx.custom_op.general"
OCTETS = (smooth_images(24, 8) * 255).round().to(torch.uint8)
CENTRE = {"mean": 128 / 255, "std": 128 / 255}

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is quantised already"),
    pytest.mark.filterwarnings("ignore:.*does not fit the accelerator"),  # which has no instructions for bits yet
]


class Quant(OpRun):
    """QONNX's definition of a quantiser: signed, to the nearest even."""

    op_domain = DOMAIN

    def _run(self, x: Any, scale: Any, zero: Any, bits: Any, **options: Any) -> tuple[Any]:
        half = 2 ** (float(bits) - 1)
        return ((np.clip(np.round(x / scale + zero), -half, half - 1) - zero) * scale,)


class BipolarQuant(OpRun):
    """QONNX's definition: 0 is positive."""

    op_domain = DOMAIN

    def _run(self, x: Any, scale: Any, **options: Any) -> tuple[Any]:
        return (np.where(x < 0, -scale, scale).astype(np.float32),)


class Graph:
    """A graph that is written node by node; each is called as what it gives."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(3)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: Any) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def add(self, kind: str, name: str, *given: str, **options: Any) -> str:
        self.nodes.append(helper.make_node(kind, list(given), [name], name=name, **options))
        return name

    def bit(self, name: str, given: str, scale: Any = 1.0) -> str:
        return self.add("BipolarQuant", name, given, self.constant(f"{name}_s", scale), domain=DOMAIN)

    def quant(self, name: str, given: str, scale: float, bits: int = 8) -> str:
        parts = [self.constant(f"{name}_{i}", value) for i, value in enumerate((scale, 0, bits))]
        return self.add("Quant", name, given, *parts, domain=DOMAIN, signed=1, narrow=0, rounding_mode="ROUND")

    def weight(self, name: str, *shape: int, scale: Any = 1.0) -> str:
        return self.bit(name, self.constant(f"{name}_latent", self.rng.normal(size=shape)), scale)

    def norm(self, name: str, given: str, count: int) -> str:
        statistics = self.rng.uniform(-1, 1.5, count), *self.rng.normal(0, 0.1, (2, count))
        parts = [
            self.constant(f"{name}_{i}", one) for i, one in enumerate((*statistics, self.rng.uniform(0.5, 2, count)))
        ]
        return self.add("BatchNormalization", name, given, *parts)

    def model(self, opset: int = 13) -> onnx.ModelProto:
        ends = [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
            for name, shape in (("image", ["n", 3, 8, 8]), ("logits", ["n", 5]))
        ]
        whole = helper.make_graph(self.nodes, "bits", ends[:1], ends[1:], self.constants)
        sets = [helper.make_opsetid("", opset), helper.make_opsetid(DOMAIN, 1)]
        return helper.make_model(whole, opset_imports=sets, ir_version=8)


def convolutions(
    scale: float = 1.0, weight_scale: Any = 1.0, step: float | None = 1 / 128, opset: int = 13, **options: Any
):
    """Two convolutions, pooling and two products, every weight and activation one bit."""
    graph = Graph()
    x = "image" if step is None else graph.quant("steps", "image", step)
    x = graph.add("Conv", "first", x, graph.weight("w0", 8, 3, 3, 3, scale=weight_scale))
    x = graph.bit("a0", graph.norm("n0", x, 8), scale)
    x = graph.add(
        "Conv", "second", x, graph.weight("w1", 8, 8, 3, 3, scale=weight_scale), **{"pads": [1] * 4, **options}
    )
    x = graph.bit("a1", graph.norm("n1", x, 8), scale)
    x = graph.add("MaxPool", "pool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = graph.add("Flatten", "flat", x)
    x = graph.add("MatMul", "third", x, graph.weight("w2", 72, 16, scale=0.25))
    x = graph.bit("a2", graph.norm("n2", x, 16), scale)
    x = graph.add("Gemm", "last", x, graph.weight("w3", 16, 5), graph.constant("bias", graph.rng.normal(size=5)))
    x = graph.add("Div", "shrunk", x, graph.constant("ten", 10))
    graph.add("Add", "logits", x, graph.constant("shift", graph.rng.normal(size=5)))
    return graph.model(opset)


def saved(model: onnx.ModelProto, folder: Path) -> Path:
    onnx.save(model, str(folder / "bits.onnx"))
    return folder / "bits.onnx"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scale": 0.5, "weight_scale": 0.25},
        {"weight_scale": np.linspace(0.1, 2, 8).reshape(8, 1, 1, 1)},
        {"opset": 17},
    ],
    ids=["ones", "scales", "a scale a channel", "a newer opset"],
)
def test_bits_are_those_of_qonnx(tmp_path: Path, options: dict) -> None:
    model = convolutions(**options)
    network = from_onnx(saved(model, tmp_path), OCTETS, name="bits", **CENTRE)
    assert [type(layer) for layer in network.layers if layer.weight_count] == [Conv2d, *[BinaryConv2d] * 3]
    evaluator = ReferenceEvaluator(model, new_ops=[Quant, BipolarQuant, *norms()])
    images = (OCTETS.numpy().astype(np.float32) - 128) / 128
    (expected,) = evaluator.run(None, {"image": images})
    ours = network.logits(ReferenceBackend(network).run(OCTETS.permute(0, 2, 3, 1).numpy()))
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)
    assert np.ptp(expected, 0).min() > 0


def norms() -> list[type]:
    from host_train.foreign.onnx_file import _batch_norm

    return [_batch_norm()]


def test_definitions_of_onnx_take_the_statistics_of_a_batch_norm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of opsets 9 to 13 mix those of the images into them, by which every such file was taken to be misread."""
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    graph = Graph()
    x = graph.add("Conv", "first", "image", graph.constant("w", graph.rng.normal(size=(4, 3, 3, 3))))
    x = graph.add("Relu", "act", graph.norm("norm", x, 4))
    x = graph.add("Flatten", "flat", graph.add("GlobalAveragePool", "mean", x))
    graph.add("MatMul", "logits", x, graph.constant("v", graph.rng.normal(size=(4, 5))))
    network = from_onnx(saved(graph.model(), tmp_path), OCTETS, name="norm", min_agreement=0)
    assert len(network.layers) == 3


def test_a_slope_and_a_quotient(tmp_path: Path) -> None:
    graph = Graph()
    x = graph.add("Div", "normalised", "image", graph.constant("std", [[[0.5]], [[0.25]], [[0.3]]]))
    x = graph.add("Conv", "first", x, graph.constant("w", graph.rng.normal(size=(4, 3, 3, 3))))
    x = graph.add("LeakyRelu", "act", x, alpha=0.2)
    x = graph.add("PRelu", "other", x, graph.constant("slopes", [[[0.1]], [[0.2]], [[0.3]], [[0.0]]]))
    x = graph.add("Flatten", "flat", graph.add("GlobalAveragePool", "mean", x))
    graph.add("MatMul", "logits", x, graph.constant("v", graph.rng.normal(size=(4, 5))))
    model = graph.model(17)
    network = from_onnx(saved(model, tmp_path), OCTETS, name="slopes", min_agreement=0)
    (expected,) = ReferenceEvaluator(model).run(None, {"image": OCTETS.numpy().astype(np.float32) / 255})
    ours = network.logits(ReferenceBackend(network).run(OCTETS.permute(0, 2, 3, 1).numpy()))
    assert np.abs(ours - expected).max() < 0.03 * np.ptp(expected)


def front(model: onnx.ModelProto) -> onnx.ModelProto:
    """The images brought to -1 to 1 in the graph."""
    graph = Graph()
    graph.add("Mul", "doubled", "image", graph.constant("two", 2))
    graph.add("Sub", "centred", "doubled", graph.constant("one", 1))
    model.graph.node[0].input[0] = "centred"
    for place, node in enumerate(graph.nodes):
        model.graph.node.insert(place, node)
    model.graph.initializer.extend(graph.constants)
    return model


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (
            lambda: convolutions(step=None),
            CENTRE,
            "first is a Conv2d, which has no place in front of the first binary layer",
        ),
        (
            lambda: convolutions(dilations=[2, 2], pads=[2] * 4),
            CENTRE,
            r"second: a convolution of bits.*dilation \(2, 2\)",
        ),
        (lambda: convolutions(scale=-1.0), CENTRE, "a0: a BipolarQuant must have one scale above 0"),
        (lambda: convolutions(), {}, r"first: 255 \* mean must be whole.*mean=128/255 and std=128/255 it is 1/128"),
        (lambda: front(convolutions()), CENTRE, "scales the images in front of the first binary layer; leave it out"),
    ],
    ids=["no steps of bytes", "a dilation", "a negative scale", "another normalisation", "normalised in the graph"],
)
def test_what_binary_layers_are_not_is_refused_by_name(tmp_path: Path, model: Any, options: dict, message: str) -> None:
    with pytest.raises(NetworkError, match=message) as raised:
        from_onnx(saved(model(), tmp_path), OCTETS, name="bits", **options)
    assert "\n" not in str(raised.value)
