"""Logs of a training: a CSV file, TensorBoard."""

from __future__ import annotations

import csv
import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from host_train.cli import main


@pytest.fixture(scope="module")
def logged(tmp_path_factory, digits_folder) -> Path:
    """A run, interrupted and resumed, with logs."""
    out = tmp_path_factory.mktemp("logged")
    words = ["train", "lenet", "--data-dir", str(digits_folder), "--out", str(out / "lenet"), "--quiet"]
    words += [
        "--epochs",
        "3",
        "--batch",
        "32",
        "--qat-epochs",
        "1",
        "--device",
        "cpu",
        "--csv",
        str(out / "log" / "e.csv"),
    ]
    if find_spec("tensorboard"):
        words += ["--tensorboard", str(out / "board")]
    with pytest.MonkeyPatch.context() as patch:
        plotted = []

        def interrupt(*given: object) -> None:
            plotted.append(given)
            raise KeyboardInterrupt

        patch.setattr("host_train.runs.training.plot_history", interrupt)
        assert main(words) == 130 and plotted
    assert main([*words, "--resume"]) == 0
    return out


def test_every_epoch_is_in_the_csv_file(logged):
    rows = list(csv.DictReader((logged / "log" / "e.csv").open()))
    assert [(row["training"], row["epoch"]) for row in rows] == [
        ("float", "1"),
        ("float", "2"),
        ("float", "3"),
        ("qat", "1"),
    ]
    history = json.loads((logged / "lenet" / "float" / "history.json").read_text())
    assert float(rows[1]["validation_accuracy"]) == history[1]["validation_accuracy"]


def test_every_epoch_is_in_tensorboard(logged):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    history = json.loads((logged / "lenet" / "float" / "history.json").read_text())
    events = EventAccumulator(str(logged / "board" / "float")).Reload()
    found = {event.step: event.value for event in events.Scalars("validation_loss")}
    assert found == pytest.approx({one["epoch"]: one["validation_loss"] for one in history}, rel=1e-5)
    assert len(EventAccumulator(str(logged / "board" / "qat")).Reload().Scalars("train_loss")) == 1


def test_without_tensorboard_that_is_told_before_training(tmp_path, digits_folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    words = ["train", "lenet", "--data-dir", str(digits_folder), "--out", str(tmp_path / "r"), "--device", "cpu"]
    assert main([*words, "--tensorboard", str(tmp_path / "board")]) == 1
    assert "--tensorboard needs TensorBoard, which is not installed: pip install tensorboard" in capsys.readouterr().err
    assert not (tmp_path / "r" / "float").exists()
