"""ONNX files of other tools, node by node: the same integers, or a refusal by name."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from families import family
from onnx_graphs import SEEN, SMALL, WEIGHTS, constant, conv, equal, export, made, saved, tail

if not find_spec("onnx") or not find_spec("onnx2torch"):
    pytest.skip(
        "ONNX IS NOT TESTED HERE: onnx and onnx2torch are not installed (pip install 'pynq-cnn[onnx]')",
        allow_module_level=True,
    )

import onnx
import onnx.reference
from onnx import TensorProto, helper, numpy_helper

from host_train import from_onnx, from_torch
from host_train.foreign.onnx_file import load_onnx
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import ArgumentError, NetworkError
from pynq_cnn.model import InputSpec

pytestmark = [
    pytest.mark.filterwarnings("ignore:the model gives the same answer for all"),
    pytest.mark.filterwarnings("ignore:.*(legacy TorchScript|torch.onnx|dynamic_axes|is deprecated)"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]


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
