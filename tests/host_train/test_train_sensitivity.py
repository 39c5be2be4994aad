"""Sensitivity: how much each layer can lose, alone; its tables as data frames."""

from __future__ import annotations

import csv
import json
import sys
from importlib.util import find_spec

import pytest

from host_train.cli import main
from host_train.compression.sensitivity import plot_sensitivity, sensitivity, to_markdown, write_points
from host_train.frame import rows_of, to_frame
from pynq_cnn.errors import ArgumentError


def test_layers_differ_in_what_they_can_lose(subject, tmp_path):
    found = sensitivity(subject, keep=[0.01, 0.5, 1], bits=[2, 8], progress=False)
    assert [(one.layer, one.how) for one in found.points] == [
        (layer, how) for layer in ("features.0", "head") for how in ["pruned"] * 3 + ["shared"] * 2
    ]
    assert found.accuracy == subject.measure(subject.copy())[1] and found.images == 120
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
