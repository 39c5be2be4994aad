"""Sensitivity: how much each layer can lose, alone; its tables as data frames."""

from __future__ import annotations

import csv
import json
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from host_train.cli import main
from host_train.compression.measured import IntegerSubject
from host_train.compression.prune import masked, plain, prune_to
from host_train.compression.sensitivity import plot_sensitivity, sensitivity, to_markdown, write_points
from host_train.data import Split
from host_train.frame import rows_of, to_frame
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import Dense, InputSpec, Network, OutputSpec
from pynq_cnn.zoo import load_model


def test_layers_differ_in_what_they_can_lose(subject, tmp_path):
    found = sensitivity(subject, keep=[0.01, 0.5, 1], bits=[2, 8], progress=False)
    assert [(one.layer, one.how) for one in found.points] == [
        (layer, how) for layer in ("features.0", "head") for how in ["pruned"] * 3 + ["shared"] * 2
    ]
    assert found.accuracy == subject.measure(subject.copy())[1] and found.images == "120 validation images"
    for layer, points in found.of("pruned").items():
        whole, half, little = points
        assert (whole.keep, half.keep, little.keep) == (1, 0.5, 0.01)
        assert whole.accuracy == found.accuracy and whole.loss == pytest.approx(found.loss)
        assert half.sparsity == 0.5 and little.accuracy < half.accuracy, layer
    for fine, coarse in found.of("shared").values():
        assert (fine.bits, coarse.bits) == (8, 2) and fine.loss == pytest.approx(found.loss, abs=0.02)
        assert coarse.loss > fine.loss
    text = to_markdown(found)
    assert "| layer, alone | 100 % kept | 50 % kept | 1 % kept |" in text and "as trained" in text
    write_points(found, tmp_path / "points.csv")
    rows = list(csv.DictReader((tmp_path / "points.csv").open()))
    assert len(rows) == 10 and float(rows[1]["accuracy"]) == found.points[1].accuracy and rows[1]["bits"] == ""
    plot_sensitivity(found, tmp_path / "plot.png")
    plot_sensitivity(sensitivity(subject, keep=[], bits=[3], progress=False), tmp_path / "one.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG") and (tmp_path / "one.png").is_file()
    for bad, message in [
        ({"keep": [0]}, "part of each layer"),
        ({"bits": [9]}, "bits of each"),
        ({"keep": [], "bits": []}, "nothing"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            sensitivity(subject, **bad)


def test_a_run_has_a_command_for_it(trained, digits_folder, capsys):
    words = ["sensitivity", str(trained), "--data-dir", str(digits_folder), "--device", "cpu", "--quiet"]
    assert main([*words, "--keep", "0.5", "0.1", "--bits", "2", "4"]) == 0
    assert "50 % kept" in capsys.readouterr().out
    folder = trained / "sensitivity"
    stored = json.loads((folder / "sensitivity.json").read_text())
    assert len(stored["points"]) == 16 and stored["of"].startswith("python -m host_train train lenet")
    assert {path.name for path in folder.iterdir()} == {f"sensitivity.{kind}" for kind in ("json", "md", "csv", "png")}
    assert main([*words, "--keep", "2"]) == 1 and "part of each layer to keep must be" in capsys.readouterr().err


def test_a_package_has_it_too_in_its_integers(digits_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["sensitivity", "lenet", "--data-dir", str(digits_folder), "--keep", "1", "0.1", "--bits", "8", "2"]
    assert main([*words, "--images", "100", "--quiet"]) == 0
    found = json.loads((tmp_path / "sensitivity" / "lenet" / "sensitivity.json").read_text())
    assert found["images"] == "100 test images of MNIST"
    points = {(one["layer"], one["keep"], one["bits"]): one for one in found["points"]}
    assert list(dict.fromkeys(layer for layer, _, _ in points)) == ["conv1", "conv2", "fc1", "fc2"]
    for layer in ("conv1", "conv2", "fc1", "fc2"):  # nothing left out is the network itself, to the last bit
        assert points[layer, 1, None]["loss"] == found["loss"]
        assert points[layer, None, 8]["loss"] == pytest.approx(found["loss"], rel=0.01)
        assert points[layer, 0.1, None]["loss"] != found["loss"]
    for rest, message in [
        (["lenet", "--images", "0"], "--images must be"),
        (["nowhere"], "nowhere is no run, no model package and no shipped network"),
    ]:
        assert main(["sensitivity", *rest, "--data-dir", str(digits_folder)]) == 1
        assert message in capsys.readouterr().err
    with pytest.raises(ArgumentError, match="vgg_bnn_half has no weights of bytes"):
        IntegerSubject(load_model("vgg_bnn_half"), Split(np.empty(0), np.empty(0)), "images").copy()


def test_what_a_channel_is_worth_counts(tmp_path):
    """Weights are compared between channels as real values, each channel's integers times its step."""
    weight = np.array([[100, 10], [100, 10]], np.int8)
    output = OutputSpec(np.array([1.0, 0.001], np.float32), np.zeros(2, np.float32))
    layer = Dense("fc", weight, np.zeros(2, np.int32))
    network = Network("n", InputSpec(1, 2, 1, "L", (0.0,), (1.0,)), (layer,), output, ("a", "b"))
    subject = IntegerSubject(network, Split(np.zeros((1, 1, 2, 1), np.uint8), np.zeros(1, int)), "images")
    model = subject.copy()
    assert np.allclose(model.fc.weight.detach(), [[100, 10], [0.1, 0.01]])
    prune_to(masked(model), {"fc": 0.5})
    assert (plain(model).fc.weight != 0).tolist() == [[True, True], [False, False]]


def test_a_run_has_images_of_its_own(trained, digits_folder, capsys):
    words = ["sensitivity", str(trained), "--data-dir", str(digits_folder), "--images", "5"]
    assert main(words) == 1 and "a run has its own images" in capsys.readouterr().err


def test_tables_become_data_frames(subject, monkeypatch):
    points = sensitivity(subject, keep=[0.5], bits=[], progress=False).points
    assert rows_of(points)[0]["layer"] == "features.0"
    with pytest.raises(ArgumentError, match="a row must be a dataclass or a mapping"):
        rows_of([5])
    if find_spec("pandas"):
        frame = to_frame(points)
        assert list(frame["layer"]) == ["features.0", "head"] and frame["sparsity"].max() == 0.5
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ArgumentError, match="needs pandas, which is not installed: pip install pandas; without it"):
        to_frame(points)
