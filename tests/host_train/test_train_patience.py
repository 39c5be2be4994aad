"""Long work shows on a terminal how far it is; interrupted work says how to go on, where one can."""

from __future__ import annotations

import re
import sys

import pytest
from terminal import Terminal

from host_train.cli import main

QUICK = ["--rounds", "1", "--round-epochs", "1", "--tune-epochs", "1", "--share-epochs", "1", "--device", "cpu"]


def bars(words: list[str], monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Titles of the bars that a command shows on a terminal."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert main(words) == 0, terminal.getvalue()
    return {
        title.strip()
        for title in re.findall(r"(?:^|[\r\n]|\x1b\[A)([^\r\n\x1b:%]+(?:: [a-z]+)?): +\d+%", terminal.getvalue())
    }


def test_long_commands_show_how_far_they_are(untrained, digits_folder, tmp_path, monkeypatch):
    data = ["--data-dir", str(digits_folder)]
    assert bars(["evaluate", "lenet", *data], monkeypatch) == {"lenet, integers"}
    assert bars(["evaluate", str(untrained), "--device", "cpu", *data], monkeypatch) == {"lenet, float32"}
    ways = {"validation, max", "validation, percentile", "validation, mse"}
    calibrating = {"calibrating: ranges", "calibrating: values"}
    both = {"integers", "PyTorch"}
    assert bars(["export", str(untrained), *data], monkeypatch) == ways | calibrating | both
    assert bars(["images", "mnist", str(tmp_path / "files"), *data], monkeypatch) == {"writing files"}
    assert bars(["evaluate", "lenet", "--images", str(tmp_path / "files")], monkeypatch) == {
        "reading",
        "lenet, integers",
    }
    sweep = [
        "sweep",
        str(untrained),
        "--thresholds",
        "0",
        "1",
        "--out",
        str(tmp_path / "sweep"),
        "--device",
        "cpu",
        *data,
    ]
    assert bars(sweep, monkeypatch) == {"sweep"}
    assert {"rates", "integers", "PyTorch"} | calibrating <= bars(
        ["spectrum", str(untrained), "--rates", "2", "--out", str(tmp_path / "spectrum"), *data], monkeypatch
    )
    compress = ["compress", str(untrained), "--out", str(tmp_path / "c"), *QUICK, *data]
    assert ways | calibrating | both | {"epoch 1/1"} == bars(compress, monkeypatch)


def test_a_training_shows_how_far_it_is_unless_it_is_quiet(digits_folder, tmp_path, monkeypatch):
    words = ["train", "lenet", "--epochs", "1", "--batch", "32", "--device", "cpu", "--data-dir", str(digits_folder)]
    shown = bars([*words, "--out", str(tmp_path / "a")], monkeypatch)
    assert shown >= {"epoch 1/1", "calibrating: ranges", "validation, max", "test set"}
    assert not bars([*words, "--out", str(tmp_path / "b"), "--quiet"], monkeypatch)
    data = ["--data-dir", str(digits_folder)]
    assert not bars(["compress", str(tmp_path / "a"), "--quiet", *QUICK, *data], monkeypatch)
    assert not bars(
        ["sweep", str(tmp_path / "a"), "--thresholds", "1", "--quiet", "--device", "cpu", *data], monkeypatch
    )


def test_a_conversion_shows_how_far_it_is(digits_folder, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "from torch import nn\ndef make():\n    return nn.Sequential(nn.Conv2d(1, 2, 5, 3), nn.ReLU(), nn.Flatten(),"
        " nn.Linear(128, 10))\n"
    )
    words = [
        "convert",
        f"{tmp_path / 'mine.py'}:make",
        "--dataset",
        "mnist",
        "--out",
        str(tmp_path / "p"),
        "--data-dir",
        str(digits_folder),
    ]
    ways = {f"p in integers ({way}{more})" for way in ("max", "percentile", "mse") for more in ("", ", equalised")}
    assert bars(words, monkeypatch) == {"calibrating: ranges", "calibrating: values", "integers", "PyTorch"} | ways


def test_a_compression_says_how_long_it_will_be(untrained, digits_folder, tmp_path, capsys):
    words = ["compress", str(untrained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "c"), *QUICK]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert (
        "pruning in rounds: 1 x 1 epochs, then 1 of fine-tuning" in text
        and "sharing weights: 1 epochs of fine-tuning" in text
    )
