"""ONNX files that are quantised already: QDQ, QONNX, operations on integers."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from families import family
from onnx_graphs import SEEN, SMALL, WEIGHTS, constant, conv, export, made, saved, tail

if not find_spec("onnx") or not find_spec("onnx2torch"):
    pytest.skip(
        "ONNX IS NOT TESTED HERE: onnx and onnx2torch are not installed (pip install 'pynq-cnn[onnx]')",
        allow_module_level=True,
    )

import onnx
import onnx.reference
from onnx import helper, numpy_helper

from host_train import from_onnx
from host_train.foreign.onnx_file import load_onnx
from pynq_cnn.errors import NetworkError

pytestmark = [
    pytest.mark.filterwarnings("ignore:the model gives the same answer for all"),
    pytest.mark.filterwarnings("ignore:.*(legacy TorchScript|torch.onnx|dynamic_axes|is deprecated)"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]


def steps(given: str, gives: str, scale: float, zero: int, kind=np.uint8, clip: tuple[int, int] | None = None):
    """QuantizeLinear, perhaps Clip, DequantizeLinear; with their constants."""
    more = [numpy_helper.from_array(np.array(scale, np.float32), f"{gives}_s")]
    more.append(numpy_helper.from_array(np.array(zero, kind), f"{gives}_z"))
    both = [f"{gives}_s", f"{gives}_z"]
    nodes = [helper.make_node("QuantizeLinear", [given, *both], [f"{gives}_q"], name=f"{gives}_quantize")]
    last = f"{gives}_q"
    if clip is not None:
        more += [numpy_helper.from_array(np.array(b, kind), f"{gives}_{i}") for i, b in enumerate(clip)]
        nodes.append(helper.make_node("Clip", [last, f"{gives}_0", f"{gives}_1"], [f"{gives}_c"], name=f"{gives}_clip"))
        last = f"{gives}_c"
    nodes.append(helper.make_node("DequantizeLinear", [last, *both], [gives], name=f"{gives}_dequantize"))
    return nodes, more


def integers(bits: int = 8) -> list[onnx.TensorProto]:
    """Weights `wq` with a step for each channel."""
    generator, most = np.random.default_rng(bits), (1 << (bits - 1)) - 1
    q = generator.integers(-most, most + 1, (4, 3, 3, 3)).astype(np.int8)
    q[:, 0, 0, 0] = most
    scale = (0.02 + 0.05 * generator.random(4)).astype(np.float32)
    zero = np.zeros(4, np.int8)
    return [numpy_helper.from_array(a, n) for a, n in ((q, "wq"), (scale, "ws"), (zero, "wz"))]


def test_integers_with_steps_between_layers(tmp_path):
    """QDQ as ONNX Runtime writes it: no ReLU where the bytes begin at 0. The weights are its integers to the last."""
    weights = integers()
    first, a = steps("image", "x", 1 / 255, 0)
    second, b = steps("c", "d", 0.02, 0)
    nodes = [
        *first,
        helper.make_node("DequantizeLinear", ["wq", "ws", "wz"], ["w"], axis=0),
        conv("x"),
        *second,
        *tail("d")[1:],
    ]
    nodes[-3] = helper.make_node("GlobalAveragePool", ["d"], ["g"], name="pool")
    path = saved(made(nodes, [*weights, constant("v", 5, 4), *a, *b]), tmp_path)
    with pytest.warns(UserWarning, match="made.onnx is quantised already: its weights are taken as they are"):
        network = from_onnx(path, SMALL, name="qdq")
    assert [type(layer).__name__ for layer in network.layers] == ["Conv2d", "AvgPool2d", "Dense"]
    np.testing.assert_array_equal(network.layers[0].weight, numpy_helper.to_array(weights[0]).transpose(0, 2, 3, 1))
    assert network.layers[0].requantisation.low == network.layers[0].requantisation.zero_point  # a ReLU


def test_weights_of_few_bits_and_activations_of_eight(tmp_path):
    """As brevitas writes them: with a Clip to the bits."""
    weights = integers(4)
    first, a = steps("c", "d", 0.02, 0, np.uint8, (0, 255))
    clip = [numpy_helper.from_array(np.array(b, np.int8), n) for b, n in ((-7, "lo"), (7, "hi"))]
    nodes = [
        helper.make_node("Clip", ["wq", "lo", "hi"], ["wc"]),
        helper.make_node("DequantizeLinear", ["wc", "ws", "wz"], ["w"], axis=0),
        conv(),
        *first,
        helper.make_node("GlobalAveragePool", ["d"], ["g"], name="pool"),
        *tail()[2:],
    ]
    path = saved(made(nodes, [*weights, *clip, constant("v", 5, 4), *a]), tmp_path)
    with pytest.warns(UserWarning, match="quantised already"):
        network = from_onnx(path, SMALL, name="few")
    integer, given = network.layers[0].weight, numpy_helper.to_array(weights[0]).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(np.rint(integer / 127 * 7), given)


def quant(given, gives, bits, signed, scale=0.02, kind="Quant"):
    values = (scale, 0.0, float(bits)) if kind == "Quant" else (scale,)
    names = [f"{gives}_{i}" for i in range(len(values))]
    more = [numpy_helper.from_array(np.array(v, np.float32), n) for v, n in zip(values, names)]
    options = {"signed": signed, "narrow": 0, "rounding_mode": "ROUND"} if kind == "Quant" else {}
    node = helper.make_node(kind, [given, *names], [gives], name=gives, domain="qonnx.custom_op.general", **options)
    return node, more


def qonnx(weight_bits: int, bits: int, kind: str = "Quant") -> onnx.ModelProto:
    weights, a = quant("float_w", "w", weight_bits, 1, 0.1, "BipolarQuant" if weight_bits == 1 else "Quant")
    activation, b = quant("r0", "d", bits, 0, kind=kind)
    nodes = [weights, conv(), helper.make_node("Relu", ["c"], ["r0"]), activation]
    nodes += [helper.make_node("GlobalAveragePool", ["d"], ["g"], name="pool"), *tail()[2:]]
    model = made(nodes, [constant("float_w", 4, 3, 3, 3), constant("v", 5, 4), *a, *b])
    model.opset_import.append(helper.make_opsetid("qonnx.custom_op.general", 1))
    return model


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_qonnx_weights_of_any_bits(tmp_path, bits):
    with pytest.warns(UserWarning, match="quantised already"):
        network = from_onnx(saved(qonnx(bits, 8), tmp_path), SMALL, name="q", min_agreement=0)
    assert len(np.unique(network.layers[0].weight[0])) <= 1 << bits
    assert bits > 1 or set(np.unique(network.layers[0].weight)) == {-127, 127}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (qonnx(8, 4), "d: a Quant of activations with 4 bits cannot be mapped; activations are bytes"),
    ],
)
def test_activations_of_few_bits_are_refused_by_name(tmp_path, model, message):
    with pytest.raises(NetworkError, match=message):
        load_onnx(saved(model, tmp_path))


def test_integer_activations_of_few_bits_are_refused_by_name(tmp_path):
    nodes, more = steps("c", "d", 0.1, 0, np.uint8, (0, 15))
    nodes = [conv(), *nodes, helper.make_node("GlobalAveragePool", ["d"], ["g"]), *tail()[2:]]
    with pytest.raises(NetworkError, match="d_clip: a Clip of activations with 16 values cannot be mapped"):
        load_onnx(saved(made(nodes, [*WEIGHTS, *more]), tmp_path))


def test_operations_on_integers_are_refused_with_advice(tmp_path):
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["image"], ["q", "s", "z"], name="dynamic"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["x"], name="back"),
        conv("x"),
        *tail(),
    ]
    with pytest.raises(NetworkError, match="back: a DequantizeLinear of what no QuantizeLinear gives"):
        load_onnx(saved(made(nodes, WEIGHTS), tmp_path))


def test_onnx_runtimes_own_quantisation(tmp_path):
    """QDQ by its static quantisation; against the model in floating point."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    model = family("vgg")
    path = export(model, tmp_path / "vgg.onnx", opset_version=17)

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.batches = iter([{"image": SEEN.numpy()}])

        def get_next(self):
            return next(self.batches, None)

    quantization.quantize_static(
        str(path),
        str(tmp_path / "qdq.onnx"),
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        weight_type=quantization.QuantType.QInt8,
    )
    with pytest.warns(UserWarning, match="quantised already"):
        read = load_onnx(tmp_path / "qdq.onnx")
    with torch.no_grad():
        ours, theirs = read(SEEN), model(SEEN)
    assert float((ours - theirs).abs().mean() / theirs.std()) < 0.1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert from_onnx(tmp_path / "qdq.onnx", SEEN, name="q").metadata["conversion"]["agreement"] >= 0.95


@pytest.mark.parametrize("kind", ["QLinearConv", "ConvInteger", "MatMulInteger", "QLinearMatMul"])
def test_operations_on_integers_are_to_be_exported_otherwise(kind):
    from host_train.foreign.onnx_file import _advice

    assert _advice(kind) == "export the model as QDQ, or in floating point"
