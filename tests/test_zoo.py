"""The shipped networks and digits."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pynq_cnn
from pynq_cnn import Classifier
from pynq_cnn.errors import ArgumentError, DatasetError, ModelPackageError
from pynq_cnn.model import BinaryConv2d, stored_bytes
from pynq_cnn.zoo import MODELS, ModelInfo, Models, load_model, load_sample, stated_agreement


def test_models():
    table = pynq_cnn.models()
    assert "lenet" in table
    assert len(table) == len(list(table)) >= 1
    for name, info in table.items():
        network = load_model(name)
        assert (info.name, info.layers, info.path) == (network.name, len(network.layers), MODELS / name)
        assert info.dataset == network.metadata["dataset"]
        assert info.recipe == network.metadata["recipe"]
        assert info.accuracy == network.metadata["accuracy"]["integer_top1"]
        assert info.agreement == network.metadata["accuracy"]["agreement"] and info.agreement > 0.95
        assert info.bytes == sum(file.stat().st_size for file in info.path.glob("*.npy") if "golden" not in file.name)
        if any(isinstance(layer, BinaryConv2d) for layer in network.layers):  # integers of bits are exact
            assert network.metadata["accuracy"]["agreement"] == 1.0
        assert network.golden is not None
        assert stored_bytes(info.path)
    with pytest.raises(KeyError):
        table["nothing"]


def test_the_table_as_text():
    head, *rows = repr(pynq_cnn.models()).splitlines()
    assert head.split() == ["name", "data", "accuracy", "agreement", "layers", "bytes", "recipe"]
    (lenet,) = (row for row in rows if row.startswith("lenet "))
    agreement = f"{100 * pynq_cnn.models()['lenet'].agreement:.2f} %"
    assert lenet.count(" %") == 2 and agreement in lenet
    assert "MNIST" in lenet and " %" in lenet and "python -m host_train train lenet" in lenet


@pytest.mark.parametrize(
    ("metadata", "agreement"),
    [
        ({"accuracy": {"agreement": 0.9}, "conversion": {"agreement": 0.8}}, 0.9),
        ({"conversion": {"agreement": 1}}, 1.0),
        ({"accuracy": {"agreement": None}, "conversion": {"agreement": 0.8}}, 0.8),
        ({"accuracy": {"agreement": True}}, None),
        ({"accuracy": {"agreement": "all"}, "conversion": [1]}, None),
        ({"accuracy": {"agreement": 100}}, None),
        ({}, None),
    ],
)
def test_what_a_package_states_of_its_agreement(metadata, agreement):
    """Metadata are free: what is no such number is unknown."""
    assert stated_agreement(metadata) == agreement


def test_the_table_as_html_escapes():
    info = ModelInfo("<b>", "a & b", None, None, 1, 2, '"<script>"', Path("."))
    text = Models({"<b>": info})._repr_html_()
    assert (
        "<td>&lt;b&gt;</td><td>a &amp;"
        " b</td><td>unknown</td><td>unknown</td><td>1</td><td>2</td><td>&quot;&lt;script&gt;&quot;</td>" in text
    )
    assert "<b>" not in text and "<script>" not in text


def test_load_model(tmp_path):
    by_name = load_model("lenet")
    folder = shutil.copytree(MODELS / "lenet", tmp_path / "mine")
    for model in (folder, str(folder), os.path.relpath(folder)):
        assert load_model(model) == by_name
    assert load_model(by_name) is by_name


def test_a_folder_does_not_hide_a_shipped_network(tmp_path, monkeypatch):
    (tmp_path / "lenet").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_model("lenet").name == "lenet"
    with pytest.raises(ModelPackageError, match="manifest.json"):
        load_model("./lenet")


@pytest.mark.parametrize("model", ["Lenet", "", "nowhere/at/all", "../models/lenet", "\0", Path("nowhere")])
def test_unknown_model(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ArgumentError, match=r"is neither a shipped network \(.*lenet.*\) nor the folder of a model package"
    ) as caught:
        load_model(model)
    assert repr(os.fspath(model)) in str(caught.value)


@pytest.mark.parametrize("model", [None, 3, b"lenet", ["lenet"], np.zeros(3)])
def test_no_model(model):
    with pytest.raises(ArgumentError, match="model must be a name, the folder of a model package, or a Network, not"):
        load_model(model)


@pytest.mark.parametrize(
    ("name", "count", "shape"),
    [("mnist", 500, (28, 28)), ("fashion_mnist", 100, (28, 28)), ("cifar10", 100, (32, 32, 3))],
)
def test_sample(name, count, shape):
    images, labels = load_sample(name)
    assert (images.shape, images.dtype, labels.shape, labels.dtype) == ((count, *shape), np.uint8, (count,), np.uint8)
    assert np.bincount(labels).tolist() == [count // 10] * 10
    assert len(np.unique(images.reshape(count, -1), axis=0)) == count
    images[:] = 0
    assert load_sample(name)[0].any()  # everybody gets a copy


@pytest.mark.parametrize(("model", "name"), [("lenet", "mnist"), ("nin", "fashion_mnist"), ("vgg_bnn", "cifar10")])
def test_a_network_knows_the_sample_of_its_data(model, name):
    """Images and labels belong together: most answers are right, and that in the order of the network's classes."""
    images, labels = load_sample(name)
    with Classifier(model, "cpu" if find_spec("pynq_cnn.backends.cpu._cpu") else "reference") as classifier:
        answers = [one.index for one in classifier.classify([*map(Image.fromarray, images[1::4])])]
    assert np.mean(np.array(answers) == labels[1::4]) > 0.8


@pytest.mark.parametrize("name", ["CIFAR-10", "../models/lenet", None])
def test_no_sample(name):
    with pytest.raises(ArgumentError, match="there is no sample called .*; there are mnist, fashion_mnist, cifar10"):
        load_sample(name)


@pytest.mark.parametrize("data", [None, b"", b"PK", b"not a zip"])
def test_a_damaged_sample(tmp_path, monkeypatch, data):
    monkeypatch.setattr("pynq_cnn.zoo.SAMPLES", tmp_path)
    if data is not None:
        (tmp_path / "mnist.npz").write_bytes(data)
    with pytest.raises(DatasetError, match="mnist.npz is damaged or missing.*install pynq_cnn again"):
        load_sample()
