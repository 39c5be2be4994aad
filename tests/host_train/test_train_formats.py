"""Every format is read back equal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from exports import contents, convolutional
from scipy.io import loadmat, savemat
from torch import nn
from virtual import network_of_kind

from host_train import from_torch
from host_train.export.container import unpack
from host_train.export.mat import read_mat, write_mat
from host_train.export.torchscript import read_torchscript, write_torchscript
from host_train.export.txt import read_array, read_txt, write_txt
from host_train.layers.binary import BinaryConv2d, BinaryLinear
from host_train.networks.vgg_bnn import build_vgg_bnn
from pynq_cnn.errors import ArgumentError, ModelPackageError
from pynq_cnn.model import InputSpec, Network, save_package
from pynq_cnn.zoo import load_model, models

FORMATS = {"mat": (write_mat, read_mat), "txt": (write_txt, read_txt)}


def binary() -> Network:
    model = nn.Sequential(
        BinaryConv2d(1, 70, 3, input_step=1 / 128),
        nn.BatchNorm2d(70),
        nn.Hardtanh(),
        nn.Flatten(),
        BinaryLinear(70 * 16, 3),
    )
    images = np.random.default_rng(0).integers(0, 256, (20, 6, 6), np.uint8)
    return from_torch(model, images, name="bits", mean=128 / 255, std=128 / 255)


NETWORKS = {"int8": convolutional, "shared": lambda: convolutional(shared=True), "binary": binary}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("form", FORMATS)
def test_a_network_is_read_back_equal(tmp_path, form, name):
    write, read = FORMATS[form]
    network = NETWORKS[name]()
    for _ in range(2):  # again, over what is there
        write(network, tmp_path / "out" / "it")
        assert read(tmp_path / "out" / "it") == network
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["it"]


def test_a_mat_file_has_a_variable_for_every_array(tmp_path):
    network = convolutional()
    write_mat(network, tmp_path / "net.mat")
    variables = loadmat(tmp_path / "net.mat")
    weight, bias = variables["layer_0_weight"], variables["layer_0_bias"]
    assert weight.dtype == np.int8 and np.array_equal(weight, network.layers[0].weight)
    assert bias.shape == (1, 4) and np.array_equal(bias[0], network.layers[0].bias)
    assert np.array_equal(variables["golden_images"], network.golden.images)
    assert json.loads(str(variables["manifest"][0]))["name"] == "small"


def test_text_files_are_plain_numbers_under_their_shape(tmp_path):
    network = convolutional()
    write_txt(network, tmp_path / "net")
    lines = (tmp_path / "net" / "layer.0.weight.txt").read_text().splitlines()
    assert lines[0] == "# int8 4 3 3 3" and len(lines) == 1 + 4 * 3 * 3
    assert [int(word) for word in lines[1].split()] == network.layers[0].weight[0, 0, 0].tolist()
    plain = np.loadtxt(tmp_path / "net" / "output.scale.txt", dtype=np.float32)
    assert np.array_equal(plain, network.output.scale) and np.array_equal(
        np.loadtxt(tmp_path / "net" / "output.scale.txt"), plain
    )
    assert read_array(tmp_path / "net" / "output.scale.txt").dtype == np.float32


@pytest.mark.parametrize("name", models())
def test_every_number_of_a_text_file_is_read_exactly(tmp_path, name):
    """By `numpy.loadtxt` as it is called without more: as float64, which rounds whole numbers above 2^53."""
    network = load_model(name)
    write_txt(network, tmp_path / "net")
    _, arrays = unpack(network)
    assert {file.stem for file in (tmp_path / "net").glob("*.txt")} == set(arrays)
    words = 0
    for file, array in arrays.items():
        path = tmp_path / "net" / f"{file}.txt"
        dtype, *shape = path.open().readline().removeprefix("#").split()
        numbers = np.loadtxt(path).reshape([int(side) for side in shape])
        if array.dtype == np.uint64:
            words += array.size
            numbers, dtype = numbers.astype(np.uint8).view("<u8"), "uint64"
        assert numbers.shape == array.shape and dtype == array.dtype and np.array_equal(numbers, array), file
    assert bool(words) == name.startswith("vgg_bnn")
    assert read_txt(tmp_path / "net") == network


def test_octets_of_a_text_file_are_the_bits_of_channels(tmp_path):
    network = load_model("vgg_bnn_half")
    layer = network.layers[1]
    write_txt(network, tmp_path / "net")
    octets = read_array(tmp_path / "net" / f"layer.{layer.name}.weight.txt")
    bits = np.unpackbits(octets, axis=-1, bitorder="little")[..., : layer.channels]
    assert octets.dtype == np.uint8 and np.array_equal(2 * bits.astype(int) - 1, layer.signs())


def test_words_of_earlier_text_files_are_read_too(tmp_path):
    network = binary()
    write_txt(network, tmp_path / "net")
    weight = network.layers[1].weight
    header = " ".join(["uint64", *map(str, weight.shape)])
    path = tmp_path / "net" / f"layer.{network.layers[1].name}.weight.txt"
    np.savetxt(path, weight.reshape(-1, weight.shape[-1]), fmt="%d", header=header)
    assert read_txt(tmp_path / "net") == network


@pytest.mark.parametrize("name", ["lenet5", "nin", "vgg_bnn_half"])
def test_every_number_of_a_mat_file_is_read_exactly(tmp_path, name):
    """By `scipy.io.loadmat`; what has one dimension, or one value, comes as a row."""
    network = replace(load_model(name), classes=("zéro", "二", "🙂", '"3"', *"456789"))
    write_mat(network, tmp_path / "net.mat")
    variables = loadmat(tmp_path / "net.mat")
    manifest, arrays = unpack(network)
    assert {one for one in variables if not one.startswith("__")} == {"manifest"} | {
        one.replace(".", "_") for one in arrays
    }
    for file, array in arrays.items():
        found = variables[file.replace(".", "_")]
        assert found.dtype == array.dtype and found.shape == ((1, *array.shape) if array.ndim == 1 else array.shape)
        assert np.array_equal(found.reshape(array.shape), array), file
    assert str(variables["manifest"][0]) == manifest
    assert read_mat(tmp_path / "net.mat") == network


def test_damaged_files_are_refused(tmp_path):
    network = convolutional()
    write_mat(network, tmp_path / "net.mat")
    write_txt(network, tmp_path / "net")
    variables = {name: value for name, value in loadmat(tmp_path / "net.mat").items() if not name.startswith("__")}

    def altered(**changes: object) -> Path:
        left = {name: value for name, value in {**variables, **changes}.items() if value is not None}
        savemat(tmp_path / "bad.mat", left)
        return tmp_path / "bad.mat"

    (tmp_path / "noise").write_bytes(bytes(range(256)))
    manifest = str(variables["manifest"][0])
    for path, message in [
        (tmp_path / "nowhere.mat", "is not there"),
        (tmp_path / "noise", "is no MATLAB file"),
    ]:
        with pytest.raises(ModelPackageError, match=message):
            read_mat(path)
    for changes, message in [
        ({"manifest": None}, "no text 'manifest'"),
        ({"manifest": np.arange(5.0)}, "no text 'manifest'"),
        ({"manifest": np.array([["a", 1.0]], object)}, "no text 'manifest'"),
        ({"manifest": "{"}, "damaged manifest"),
        ({"manifest": "[" * 20000}, "damaged manifest"),
        ({"manifest": "[]"}, "bad.mat.*this is no model package"),
        ({"layer_0_weight": None}, "no array layer.0.weight"),
        ({"layer_0_weight": variables["layer_0_weight"] + np.int8(1)}, "bad.mat.*sha256"),
        ({"layer_0_bias": np.zeros(3, np.int32)}, "damaged: cannot reshape"),
        ({"manifest": manifest.replace("layer.0.weight.npy", "../escape.npy")}, "escape"),
    ]:
        with pytest.raises(ModelPackageError, match=f"(?s){message}"):
            read_mat(altered(**changes))

    file = tmp_path / "net" / "layer.0.weight.txt"
    good = file.read_text()
    for text, message in [
        (good.replace("int8", "int9"), "layer.0.weight.txt cannot be read"),
        ("", "cannot be read"),
        (good.rsplit("\n", 2)[0] + "\n", "cannot reshape"),
        (good.replace("# int8 4 3 3 3\n", "# int8 4 3 3 3\n1000 0 0\n"), "cannot be read"),
    ]:
        file.write_text(text)
        with pytest.raises(ModelPackageError, match=message):
            read_txt(tmp_path / "net")
    file.unlink()
    with pytest.raises(ModelPackageError, match="net has no array layer.0.weight"):
        read_txt(tmp_path / "net")
    (tmp_path / "net" / "manifest.json").write_text("[" * 100000)
    with pytest.raises(ModelPackageError, match="net has a damaged manifest"):
        read_txt(tmp_path / "net")
    with pytest.raises(ModelPackageError, match="manifest.json cannot be read"):
        read_txt(tmp_path)


def fill(folder: Path, kind: str) -> None:
    """A folder that is no earlier export as text."""
    if kind == "package":
        save_package(convolutional(), folder)
        return
    folder.mkdir()
    if kind == "web application":
        (folder / "manifest.json").write_text('{"name": "app"}')
    elif kind == "export with notes":
        write_txt(convolutional(), folder)
    (folder / "notes.txt").write_text("years of work")


@pytest.mark.parametrize("kind", ["notes", "web application", "export with notes", "package"])
def test_text_takes_no_other_folders_place(tmp_path, kind):
    fill(tmp_path / "it", kind)
    before = contents(tmp_path)
    with pytest.raises(ModelPackageError, match="it exists and is not a model package"):
        write_txt(convolutional(), tmp_path / "it")
    assert contents(tmp_path) == before


def test_a_package_does_not_take_the_place_of_text(tmp_path):
    write_txt(convolutional(), tmp_path / "it")
    before = contents(tmp_path)
    with pytest.raises(ModelPackageError, match=r"not a model package of \.npy files alone"):
        save_package(convolutional(), tmp_path / "it")
    assert contents(tmp_path) == before


def test_files_take_no_folders_place(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "weights.pt").write_text("days of training")
    network, model = convolutional(), nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    for write in (
        lambda path: write_mat(network, path),
        lambda path: write_torchscript(model, InputSpec(2, 2, 1, "L", (0.0,), (1.0,)), "ab", path),
    ):
        with pytest.raises(ArgumentError, match="run is a folder; name a file"):
            write(tmp_path / "run")
    assert contents(tmp_path) == {"run/weights.pt": b"days of training"}


def test_names_that_matlab_cannot_tell_apart_are_refused(tmp_path, monkeypatch):
    model = nn.Sequential()
    model.add_module("a" * 59, nn.Conv2d(1, 2, 4))
    network = from_torch(model, np.arange(64, dtype=np.uint8).reshape(4, 4, 4), name="n")
    with pytest.raises(
        ModelPackageError,
        match=r"layer\.a+\.bias makes the MATLAB variable layer_a+_bias, which is longer than the 63 ",
    ):
        write_mat(network, tmp_path / "net.mat")
    layers = (replace(network.layers[0], name="a.b"), replace(network.layers[0], name="a-b"))
    monkeypatch.setattr(
        "host_train.export.mat.unpack", lambda _: ("{}", {f"layer.{one.name}.bias": one.bias for one in layers})
    )
    with pytest.raises(
        ModelPackageError,
        match=r"layer\.a-b\.bias makes the MATLAB variable layer_a_b_bias, which would be there twice",
    ):
        write_mat(network, tmp_path / "net.mat")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["softmax", "sigmoid", "independent", "values"])
def test_every_kind_of_output_in_every_format(tmp_path, kind):
    network = network_of_kind(kind)
    for form, (write, read) in FORMATS.items():
        write(network, tmp_path / form)
        assert read(tmp_path / form) == network and read(tmp_path / form).output.kind == kind
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, network.output.outputs))
    spec = InputSpec(2, 2, 1, "L", (0.0,), (1.0,))
    write_torchscript(model, spec, network.classes, tmp_path / "m.pt", kind)
    assert read_torchscript(tmp_path / "m.pt")[1:] == (spec, network.classes, kind)
    with pytest.raises(ArgumentError, match="needs two outputs at least|is of one logit|need 10 names, not 9"):
        write_torchscript(
            model,
            spec,
            network.classes[:9],
            tmp_path / "m.pt",
            {"softmax": "sigmoid", "sigmoid": "softmax"}.get(kind, kind),
        )


def test_torchscript_refuses_other_files(tmp_path):
    (tmp_path / "noise.pt").write_bytes(b"PK noise")
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "plain.pt")
    for name in ("noise.pt", "plain.pt", "nowhere.pt"):
        with pytest.raises(ArgumentError, match=f"{name} is no TorchScript file of host_train"):
            read_torchscript(tmp_path / name)


def test_torchscript_of_binary_layers_gives_the_same_bits(tmp_path):
    model = build_vgg_bnn(8)
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(0, 5)
                layer.running_var.uniform_(1, 100)
    spec = InputSpec(32, 32, 3, "RGB", (128 / 255,) * 3, (128 / 255,) * 3)
    write_torchscript(model.eval(), spec, "0123456789", tmp_path / "no" / "such" / "m.pt")
    script, *_ = read_torchscript(tmp_path / "no" / "such" / "m.pt")
    images = torch.randint(0, 256, (50, 3, 32, 32)).float() / 128 - 1
    with torch.no_grad():
        logits = model(images)
        assert len(logits.unique()) > 10 and torch.equal(script(images), logits)
    assert [path.name for path in (tmp_path / "no" / "such").iterdir()] == ["m.pt"]


def test_torchscript_that_cannot_be_written_leaves_what_was(tmp_path, monkeypatch):
    def full(script, file, _extra_files):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    (tmp_path / "m.pt").write_text("before")
    monkeypatch.setattr(torch.jit, "save", full)
    with pytest.raises(OSError, match="No space"):
        write_torchscript(nn.Flatten(), InputSpec(2, 2, 1, "L", (0.0,), (1.0,)), "abcd", tmp_path / "m.pt")
    assert contents(tmp_path) == {"m.pt": b"before"}
