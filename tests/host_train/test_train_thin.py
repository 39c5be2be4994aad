"""A compressed network made smaller without training."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from host_train.cli import main
from host_train.compression.thin import thin, thinned
from host_train.data import load_dataset
from host_train.evaluation.evaluate import evaluate, predict_integers
from host_train.networks import RECIPES
from host_train.runs.run import division
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.model import Conv2d, Dense, InputSpec, Network, OutputSpec, load_package, save_package
from pynq_cnn.zoo import load_model, load_sample


@pytest.fixture(scope="module")
def sample() -> np.ndarray:
    return load_sample()[0][:64, ..., None]


def test_fewer_weights_take_fewer_bytes_and_err_more(sample):
    network = load_model("lenet5")
    found = thinned(network, sample, (0.0, 0.1, 0.3), progress=False)
    assert list(found) == ["conv1", "conv2", "fc1", "fc2"]
    for layer in (layer for layer in network.layers if isinstance(layer, (Conv2d, Dense))):
        none, some, many = found[layer.name]
        assert np.array_equal(none.weight, layer.weight) and none.error == 0
        left = [int((one.weight != 0).sum()) for one in (none, some, many)]
        assert left[1:] == [left[0] - int(0.1 * left[0]), left[0] - int(0.3 * left[0])]
        assert set(np.unique(many.weight)) <= set(np.unique(layer.weight))
        assert none.stored > some.stored > many.stored and 0 < some.error < many.error
    whole = sum(some[0].stored for some in found.values())
    assert thin(network, found, whole) == network.__class__(**{**vars_of(network), "golden": None})
    small = thin(network, found, int(0.9 * whole))
    wrong = ReferenceBackend(small).run(sample).argmax(1) != ReferenceBackend(network).run(sample).argmax(1)
    assert wrong.mean() < 0.1


def vars_of(network) -> dict:
    fields = ("name", "input", "layers", "output", "classes", "metadata")
    return {field: getattr(network, field) for field in fields}


def test_thin_by_the_command_line(digits_folder, tmp_path, capsys):
    words = ["thin", "lenet5", "--data-dir", str(digits_folder), "--dataset", "mnist", "--images", "20"]
    assert main([*words, "--keep", "1", "0.8", "--out", str(tmp_path / "t")]) == 0
    lines = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("|")][2:]
    assert [line[1].strip() for line in lines] == ["1", "0.8"]
    ratios = [float(line[3].strip().rstrip("x")) for line in lines]
    assert 155.8 < ratios[0] < ratios[1]  # of 20 images no error tells much: weights that none needs go at once
    small = load_package(tmp_path / "t" / "0.8" / "package")
    assert small.metadata["thinned"] == {"kept": 0.8} and "agreement" not in small.metadata["accuracy"]
    table = json.loads((tmp_path / "t" / "0.8" / "table.json").read_text())
    assert table["accuracy"]["integer_top1"] == small.metadata["accuracy"]["integer_top1"]
    held_back = division(RECIPES["lenet5"], load_dataset("mnist", digits_folder).train, 0)[1]  # the package's seed
    of_them = evaluate(predict_integers(small), held_back, small.classes).top1
    assert [table["accuracy"]["validation_top1"], lines[1][5].strip()] == [of_them, f"{100 * of_them:.2f} %"]
    unknown = replace(load_model("lenet5"), metadata={})
    save_package(unknown, tmp_path / "unknown")  # of which none tells what it was trained on
    where = ["thin", str(tmp_path / "unknown"), *words[2:], "--keep", "0.8", "--out", str(tmp_path / "v")]
    assert main(where) == 0 and "validation_top1" not in (tmp_path / "v" / "0.8" / "table.json").read_text()
    assert main(["front", str(tmp_path / "t" / "1"), str(tmp_path / "t" / "0.8"), "--out", str(tmp_path / "f")]) == 0
    assert (tmp_path / "t" / "front.png").is_file()
    for bad, message in [
        (["thin", "lenet"], "lenet is not compressed"),
        ([*words, "--keep", "0"], "must be parts above 0 to 1"),
    ]:
        assert main([*bad, "--out", str(tmp_path / "u")]) == 1
        assert message in capsys.readouterr().err


def test_of_grouped_convolutions_the_weights_of_dark_channels_go_first():
    """Of the channels of their own group."""
    layer = Conv2d("c", np.full((4, 2, 2, 2), 5, np.int8), np.zeros(4, np.int32), groups=2)
    spec = InputSpec(2, 2, 4, "plain", (0.0,) * 4, (1.0,) * 4)
    network = Network("n", spec, (layer,), OutputSpec(np.ones(4, np.float32), np.zeros(4, np.float32)), tuple("abcd"))
    bright = np.random.default_rng(0).integers(100, 256, (8, 2, 2, 4), dtype=np.uint8)
    half = thinned(network, bright // np.array([1, 100, 100, 1], np.uint8), (0.5,), progress=False)["c"][0].weight
    assert (half[:2] == [5, 0]).all() and (half[2:] == [0, 5]).all()
