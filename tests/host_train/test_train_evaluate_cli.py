"""`python -m host_train evaluate` of packages: other data sets, orders of classes and of colours, and its picture."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from host_train.cli import main
from host_train.data import DATASETS
from host_train.data.npz import write_npz
from host_train.runs.run import Run
from host_train.settings import Settings
from pynq_cnn.model import Dense, InputSpec, Network, OutputSpec, save_package
from pynq_cnn.zoo import load_model


def test_a_package_on_another_data_set_is_told(digits_folder, digits, tmp_path, capsys):
    write_npz(tmp_path / "fashion_mnist.npz", digits)
    arguments = ["evaluate", "lenet", "--data-dir", str(tmp_path), "--dataset", "fashion_mnist"]
    assert main(arguments) == 0
    note = (
        "the package says that its data set is 'MNIST', not 'Fashion-MNIST'; "
        "its classes have no names and are taken to be in the data set's order"
    )
    assert note in capsys.readouterr().out.splitlines()[0]
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["note"] == note
    assert main(["evaluate", "lenet", "--data-dir", str(digits_folder), "--dataset", "mnist", "--json"]) == 0
    assert "note" not in json.loads(capsys.readouterr().out)


def test_classes_in_another_order_are_matched_by_name(digits_folder, tmp_path, capsys):
    network = load_model("lenet")
    *layers, last = network.layers
    output = OutputSpec(network.output.scale[::-1].copy(), network.output.offset[::-1].copy())
    turned = replace(last, weight=last.weight[::-1].copy(), bias=last.bias[::-1].copy())
    other = replace(network, layers=(*layers, turned), output=output, classes=network.classes[::-1], golden=None)
    results = {}
    for name, one in {"own": network, "turned": other, "named": replace(network, classes=tuple("abcdefghij"))}.items():
        save_package(one, tmp_path / name)
        assert main(["evaluate", str(tmp_path / name), "--data-dir", str(digits_folder), "--json"]) == 0
        results[name] = json.loads(capsys.readouterr().out)
    assert results["own"]["top1"] == results["turned"]["top1"] == results["named"]["top1"]
    assert results["turned"]["per_class"] == results["own"]["per_class"] and "note" not in results["turned"]
    assert results["named"]["note"].startswith("its classes have names that the data set has not (a, b, c)")


def test_networks_of_blue_first_see_blue_first(tmp_path, capsys):
    generator = np.random.default_rng(0)
    arrays = {f"{part}_images": generator.integers(0, 256, (30, 32, 32, 3), np.uint8) for part in ("train", "test")}
    write_npz(
        tmp_path / "cifar10.npz", {**arrays, **{f"{part}_labels": np.arange(30) % 10 for part in ("train", "test")}}
    )
    weight = generator.integers(-127, 128, (10, 32, 32, 3)).astype(np.int8)
    answers = {}
    for color, order in {"RGB": slice(None), "BGR": slice(None, None, -1)}.items():
        layer = Dense("fc", weight[..., order].reshape(10, -1).copy(), np.zeros(10, np.int32))
        output = OutputSpec(np.full(10, 1e-5, np.float32), np.zeros(10, np.float32))
        spec = InputSpec(32, 32, 3, color, (0.0,) * 3, (1.0,) * 3)
        save_package(Network("n", spec, (layer,), output, DATASETS["cifar10"].spec.classes), tmp_path / color)
        assert (
            main(["evaluate", str(tmp_path / color), "--dataset", "cifar10", "--data-dir", str(tmp_path), "--json"])
            == 0
        )
        answers[color] = json.loads(capsys.readouterr().out)
    assert (
        answers["RGB"]["confusion"] == answers["BGR"]["confusion"] and answers["RGB"]["loss"] == answers["BGR"]["loss"]
    )


def test_a_shipped_name_means_the_shipped_model_everywhere(digits_folder, tmp_path, monkeypatch, capsys):
    """A folder that happens to have its name hides it neither here nor in `pynq_cnn.zoo.load_model`; `./lenet` names
    the folder.
    """
    (tmp_path / "lenet").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", "lenet", "--data-dir", str(digits_folder)]) == 0
    assert capsys.readouterr().out.startswith("lenet, integers")
    assert main(["evaluate", "./lenet", "--data-dir", str(digits_folder)]) == 1
    assert "run.json or manifest.json is not there" in capsys.readouterr().err
    Run.create(tmp_path / "lenet", Settings("convnet"), digits_folder)
    assert main(["evaluate", "lenet", "--data-dir", str(digits_folder)]) == 0
    assert capsys.readouterr().out.startswith("lenet, integers")
    assert main(["evaluate", "./lenet", "--data-dir", str(digits_folder)]) == 1
    assert "this training has not ended" in capsys.readouterr().err


def test_a_picture_goes_into_a_new_folder(digits_folder, tmp_path):
    out = tmp_path / "no" / "such" / "c.pdf"
    assert main(["evaluate", "lenet", "--data-dir", str(digits_folder), "--plot", str(out)]) == 0
    assert out.read_bytes().startswith(b"%PDF")
