"""ONNX files: the same integers as of the model that was exported, or a refusal by name."""

from __future__ import annotations

import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from families import FAMILIES, family, smooth_images
from torch import nn

if not find_spec("onnx") or not find_spec("onnx2torch"):
    pytest.skip(
        "ONNX IS NOT TESTED HERE: onnx and onnx2torch are not installed (pip install 'pynq-cnn[onnx]')",
        allow_module_level=True,
    )

import onnx
import onnx.reference
from onnx import TensorProto, helper, numpy_helper

from host_train import from_onnx, from_torch
from host_train.cli import main
from host_train.foreign.onnx_file import load_onnx
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import ArgumentError, NetworkError
from pynq_cnn.model import InputSpec, load_package

pytestmark = [
    pytest.mark.filterwarnings("ignore:the model gives the same answer for all"),
    pytest.mark.filterwarnings("ignore:.*(legacy TorchScript|torch.onnx|dynamic_axes|is deprecated)"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]
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


@pytest.mark.parametrize("opset", [9, 13, 17, 18, 20])
@pytest.mark.parametrize("any_batch", [True, False], ids=["any batch", "batch of 1"])
def test_exported_chains_give_the_same_integers(tmp_path, opset, any_batch):
    model = family("lenet")
    path = export(model, tmp_path / "lenet.onnx", any_batch=any_batch, opset_version=opset)
    equal(from_onnx(path, SEEN, name="lenet"), from_torch(model, SEEN, name="lenet"))


@pytest.mark.parametrize("any_batch", [True, False], ids=["any batch", "batch of 1"])
def test_the_newer_exporter_too(tmp_path, any_batch):
    pytest.importorskip("onnxscript")
    model = family("lenet")
    sizes = {"dynamic_shapes": ({0: torch.export.Dim("n", min=2)},)} if any_batch else {}
    torch.onnx.export(model, (SEEN[: 2 if any_batch else 1],), str(tmp_path / "l.onnx"), dynamo=True, **sizes)
    equal(from_onnx(tmp_path / "l.onnx", SEEN, name="l"), from_torch(model, SEEN, name="l"))


# Of these the integers are looked at too: a chain, sums, clamps, shuffled channels, and what is refused.
CONVERTED = ("lenet", "resnet_option_a", "mobilenet_v2", "shufflenet_v2", "senet", "efficientnet_like")


@pytest.mark.parametrize("name", FAMILIES)
def test_families_are_read_as_they_are(tmp_path, name):
    """Each as the model that was exported; and what `from_torch` takes of that, in the same integers."""
    model = family(name)
    path = export(model, tmp_path / f"{name}.onnx")
    read = load_onnx(path)
    images = smooth_images(3, seed=7)
    with torch.no_grad():
        assert torch.allclose(read(images), model(images), rtol=1e-3, atol=1e-4)
    if name not in CONVERTED:
        return
    try:
        theirs = from_torch(model, SEEN, name=name, min_agreement=0)
    except NetworkError:
        with pytest.raises(NetworkError):
            from_onnx(path, SEEN, name=name, min_agreement=0)
        return
    norms = any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    equal(from_onnx(path, SEEN, name=name, min_agreement=0), theirs, exact=not norms)


# --- Models of other tools, node by node ---

RNG = np.random.default_rng(0)


def constant(name: str, *shape: int) -> onnx.TensorProto:
    return numpy_helper.from_array(RNG.normal(size=shape).astype(np.float32) / np.sqrt(np.prod(shape[1:] or 1)), name)


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


def test_channels_last_and_products_with_bias(tmp_path):
    """As TensorFlow's models come: transposed first, MatMul and Add."""
    nodes = [
        helper.make_node("Transpose", ["image"], ["t"], perm=[0, 3, 1, 2]),
        conv("t"),
        *tail()[:2],
        helper.make_node("Squeeze", ["g", "axes"], ["s"]),
        helper.make_node("MatMul", ["s", "m"], ["p"], name="dense"),
        helper.make_node("Add", ["p", "b"], ["a"], name="bias"),
        helper.make_node("Softmax", ["a"], ["logits"], axis=-1),
    ]
    more = [constant("m", 4, 5), constant("b", 5), numpy_helper.from_array(np.array([2, 3]), "axes")]
    path = saved(made(nodes, [*WEIGHTS, *more], ("n", 8, 8, 3)), tmp_path)
    network = from_onnx(path, SMALL, name="tf")
    assert [type(layer).__name__ for layer in network.layers] == ["Conv2d", "AvgPool2d", "Dense"]
    assert network.layers[-1].weight.shape == (5, 4) and network.output.kind == "softmax"
    assert np.ptp(network.output.offset) > 0 or network.layers[-1].bias.any()


@pytest.mark.parametrize("turned", [0, 1])
def test_channels_last_for_a_flattening(tmp_path, turned):
    """As TensorFlow's models go on: transposed back before they are flattened."""
    nodes = [
        conv(),
        tail()[0],
        helper.make_node("Transpose", ["r"], ["t"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["t", "shape"], ["f"]),
        helper.make_node("Gemm", ["f", "d"], ["logits"], transB=turned),
    ]
    dense = constant("d", *((5, 256) if turned else (256, 5)))
    model = made(nodes, [*WEIGHTS[:1], dense, numpy_helper.from_array(np.array([-1, 256]), "shape")])
    network = from_onnx(saved(model, tmp_path), SMALL, name="tf")
    expected = onnx.reference.ReferenceEvaluator(model).run(None, {"image": SMALL.numpy()})[0]
    octets = (SMALL.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
    assert [type(layer).__name__ for layer in network.layers] == ["Conv2d", "Dense"]
    ours = network.logits(ReferenceBackend(network).run(octets))
    assert np.abs(ours - expected).mean() < 0.05 * expected.std()


@pytest.mark.parametrize("opset", [17, 18])
def test_the_mean_over_pixels(tmp_path, opset):
    axes = {"axes": [2, 3]} if opset < 18 else {}
    given = ["r"] if opset < 18 else ["r", "axes"]
    nodes = [
        conv(),
        tail()[0],
        helper.make_node("ReduceMean", given, ["f"], keepdims=0, **axes),
        tail()[-1],
    ]
    more = [] if opset < 18 else [numpy_helper.from_array(np.array([2, 3]), "axes")]
    network = from_onnx(saved(made(nodes, [*WEIGHTS, *more], opset=opset), tmp_path), SMALL, name="mean")
    assert len(network.layers) == 3


def test_sizes_that_the_file_leaves_open(tmp_path):
    path = saved(made([conv(), *tail()], WEIGHTS, ("n", 3, "height", "width")), tmp_path)
    expected = from_onnx(saved(made([conv(), *tail()], WEIGHTS), tmp_path), SMALL, name="n")
    path = saved(made([conv(), *tail()], WEIGHTS, ("n", 3, "height", "width")), tmp_path)
    octets = (SMALL * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    spec = InputSpec(8, 8, 3, "RGB", (0.0,) * 3, (1.0,) * 3)
    for data, options in ((SMALL, {}), (octets, {}), ([SMALL], {"spec": spec})):
        found = from_onnx(path, data, name="n", **options)
        assert [a.weight.tolist() == b.weight.tolist() for a, b in zip(found.layers[::2], expected.layers[::2])]
    with pytest.raises(NetworkError, match=r"\[n, 3, height, width\], which leaves the size of images open"):
        from_onnx(path, [SMALL], name="n")


def test_the_sources_line_is_the_node(tmp_path):
    path = saved(made([conv(), *tail(first="Tanh")], WEIGHTS), tmp_path)
    with pytest.raises(NetworkError, match=r"`act = torch.tanh\(first\)`: tanh: it cannot be mapped; use ReLU"):
        from_onnx(path, SMALL, name="n")


def test_activations_that_are_written_out_get_their_names(tmp_path):
    nodes = [conv(), helper.make_node("Sigmoid", ["c"], ["s"]), helper.make_node("Mul", ["c", "s"], ["r"], name="silu")]
    with pytest.raises(NetworkError, match="silu: a SiLU cannot be mapped; use ReLU and train it again"):
        from_onnx(saved(made([*nodes, *tail()[1:]], WEIGHTS), tmp_path), SMALL, name="n")


FLOATS = TensorProto.FLOAT
FLAT = [helper.make_tensor_value_info(name, FLOATS, ("n", 4)) for name in "fl"]
TWO = [helper.make_tensor_value_info(name, FLOATS, ("n", 3, 8, 8)) for name in ("image", "other")]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            made([conv(), *tail(), helper.make_node("Relu", ["other"], ["o"])], WEIGHTS, inputs=TWO),
            r"it takes 2 tensors \(image, other\); export one that takes a single one",
        ),
        (
            made(
                [conv(), *tail()[:3], helper.make_node("Relu", ["f"], ["l"])],
                WEIGHTS,
                outputs=[helper.make_tensor_value_info(n, FLOATS, ("n", 4)) for n in "fl"],
            ),
            r"it gives 2 tensors \(f, l\)",
        ),
        (
            made(
                [helper.make_node("Cast", ["image"], ["x"], to=FLOATS), conv("x"), *tail()],
                WEIGHTS,
                inputs=[helper.make_tensor_value_info("image", TensorProto.UINT8, ("n", 3, 8, 8))],
            ),
            r"its input image is uint8; export the model in float32",
        ),
        (
            made([helper.make_node("Gemm", ["image", "v"], ["logits"], transB=1)], WEIGHTS, ("n", 4)),
            r"its input image is \[n, 4\], not \[n, channels, height, width\]",
        ),
        (
            made([conv(), *tail()], WEIGHTS, ("n", 32, 32, 3)),
            r"its input image is \[n, 32, 32, 3\], with the channels last",
        ),
        (
            made([conv(), tail()[0], helper.make_node("GlobalAveragePool", ["r"], ["logits"])], WEIGHTS[:1], opset=6),
            "it is of opset 6, which is too old; export it again with",
        ),
        (
            made([conv(), helper.make_node("Det", ["c"], ["x"], name="odd"), *tail()], WEIGHTS),
            r"odd: a Det cannot be mapped; use ",
        ),
        (
            made(
                [
                    conv(),
                    tail()[0],
                    helper.make_node("Reshape", ["r", "shape"], ["f"], name="mixing"),
                    helper.make_node("Gemm", ["f", "v"], ["logits"], transB=1),
                ],
                [*WEIGHTS, numpy_helper.from_array(np.array([-1, 4]), "shape")],
            ),
            r"mixing: making \(128, 4\) of \(2, 4, 8, 8\) moves values between images",
        ),
    ],
    ids=["inputs", "outputs", "bytes", "rank", "channels last", "old", "unknown", "between images"],
)
def test_what_cannot_be_read_is_refused_by_name(tmp_path, model, message):
    with pytest.raises(NetworkError, match=rf"made.onnx: {message}"):
        load_onnx(saved(model, tmp_path))


def test_an_operation_of_another_domain(tmp_path):
    model = made([conv(), helper.make_node("Trunc", ["c"], ["x"], name="t", domain="qonnx"), *tail("x")], WEIGHTS)
    model.opset_import.append(helper.make_opsetid("qonnx", 1))
    with pytest.raises(NetworkError, match=r"made.onnx: t: a qonnx.Trunc cannot be mapped"):
        load_onnx(saved(model, tmp_path))


def test_an_opset_of_the_future(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx.defs, "onnx_opset_version", lambda: 16)
    with pytest.raises(NetworkError, match=r"it is of opset 17, and the installed onnx .* knows 16; install a newer"):
        load_onnx(saved(made([conv(), *tail()], WEIGHTS), tmp_path))


def test_files_that_are_none(tmp_path):
    with pytest.raises(ArgumentError, match="none.onnx: there is no such file"):
        load_onnx(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(ArgumentError, match="bad.onnx is no ONNX model"):
        load_onnx(tmp_path / "bad.onnx")


def test_weights_that_lie_beside_the_file(tmp_path):
    model = made([conv(), *tail()], [constant("w", 4, 3, 3, 3), constant("v", 5, 4)])
    options = {"save_as_external_data": True, "location": "made.data", "size_threshold": 0}
    onnx.save(model, str(tmp_path / "made.onnx"), **options)
    assert load_onnx(tmp_path / "made.onnx")(SMALL).shape == (24, 5)
    (tmp_path / "made.data").unlink()
    with pytest.raises(ArgumentError, match="made.onnx has weights in another file, which cannot be read: .*made.data"):
        load_onnx(tmp_path / "made.onnx")


def test_without_the_libraries(tmp_path, monkeypatch):
    path = saved(made([conv(), *tail()], WEIGHTS), tmp_path)
    for name in ("onnx2torch", "onnx"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            with pytest.raises(ArgumentError, match=rf"{name} is not installed; .*pip install 'pynq-cnn\[onnx\]'"):
                load_onnx(path)


def test_a_reading_that_is_not_onnxs_is_found(tmp_path, monkeypatch):
    import onnx2torch

    from host_train.foreign.onnx_libraries import load_onnx2torch

    load_onnx2torch()
    real = onnx2torch.convert

    def wrong(model):
        read = real(model)
        with torch.no_grad():
            getattr(read, "first").weight[0] += 0.5  # noqa: B009
        return read

    monkeypatch.setattr(onnx2torch, "convert", wrong)
    with pytest.raises(NetworkError, match="onnx2torch reads it as another model: on images of noise it gives"):
        load_onnx(saved(made([conv(), *tail()], WEIGHTS), tmp_path))


def test_by_onnxs_own_definitions(tmp_path, monkeypatch):
    """Where ONNX Runtime is not installed."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    model = family("lenet")
    path = export(model, tmp_path / "lenet.onnx")
    equal(from_onnx(path, SEEN, name="lenet"), from_torch(model, SEEN, name="lenet"))


# --- Quantised already ---


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
    most = (1 << (bits - 1)) - 1
    q = RNG.integers(-most, most + 1, (4, 3, 3, 3)).astype(np.int8)
    q[:, 0, 0, 0] = most
    scale = (0.02 + 0.05 * RNG.random(4)).astype(np.float32)
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
        (qonnx(1, 1, "BipolarQuant"), r"d: activations of one bit \(BipolarQuant\) cannot be taken from ONNX; build"),
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


# --- The command ---


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 4, 5, stride=3), nn.Linear(256, 10)

    def forward(self, x):
        return self.fc(torch.relu(self.conv(x)).flatten(1))


def test_the_command(tmp_path, digits_folder, capsys):
    path = export(Small(), tmp_path / "small.onnx", torch.zeros(2, 1, 28, 28))
    out = tmp_path / "package"
    base = ["convert", str(path), "--dataset", "mnist", "--data-dir", str(digits_folder), "--out", str(out)]
    assert main([*base, "--min-agreement", "0.5"]) == 0
    assert "on the 120 test images of MNIST: integers" in capsys.readouterr().out
    network = load_package(out)
    assert network.classes == tuple("0123456789") and "accuracy" in network.metadata
    assert main([*base, "--weights", "w.pt"]) == 1
    assert "an ONNX file has its weights; remove --weights" in capsys.readouterr().err
    base[1] = str(tmp_path / "none.onnx")
    assert main(base) == 1 and "there is no such file" in capsys.readouterr().err
