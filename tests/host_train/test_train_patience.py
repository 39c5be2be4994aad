"""Long work shows on a terminal how far it is; interrupted work says how to go on, where one can."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from terminal import Terminal

from host_train.cli import main
from host_train.runs.run import Run
from host_train.settings import Settings
from host_train.training.checkpoint import save_state
from host_train.training.fit import WEIGHTS

QUICK = ["--rounds", "1", "--round-epochs", "1", "--tune-epochs", "1", "--share-epochs", "1", "--device", "cpu"]


@pytest.fixture(scope="module")
def untrained(tmp_path_factory, digits_folder) -> Path:
    """A run of an untrained lenet, as if trained for its epochs."""
    folder = tmp_path_factory.mktemp("runs") / "lenet"
    run = Run.create(folder, Settings("lenet", batch=32, qat_epochs=0), digits_folder)
    save_state(folder / "float" / WEIGHTS, run.recipe.build().state_dict())
    return folder


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


# ------------------------------------------------------------------------------------- folders of earlier commands


def test_compressions_that_failed_block_no_other_and_force_puts_them_aside(untrained, digits_folder, tmp_path, capsys):
    base = [str(untrained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "c"), "--quiet"]
    (tmp_path / "c" / "prune").mkdir(parents=True)
    (tmp_path / "c" / "prune" / "stage.json").write_text('{"of": "something that never began"}')
    assert main(["prune", *base, *QUICK[:6], "--device", "cpu"]) == 0
    share = ["share", *base, "--share-epochs", "1", "--device", "cpu"]
    assert main([*share, "--bits", "3"]) == 0
    assert main([*share, "--bits", "4"]) == 1
    assert (
        "go on with it (--resume), put it aside (--force), or choose another folder (--out)" in capsys.readouterr().err
    )
    assert main([*share, "--bits", "4", "--force"]) == 0
    assert (
        f"{tmp_path / 'c' / 'share'} was there already and is now {tmp_path / 'c' / 'share.1'}"
        in capsys.readouterr().out
    )
    assert (tmp_path / "c" / "share.1" / "tune" / "weights.pt").is_file() and (
        tmp_path / "c" / "prune" / "tune" / "weights.pt"
    ).is_file()
    assert main(["prune", *base, *QUICK[:6], "--device", "cpu", "--keep", "0.5", "--force"]) == 0
    assert (tmp_path / "c.1" / "share.1").is_dir() and not (tmp_path / "c" / "share").exists()


def test_a_sweep_that_is_of_another_is_put_aside(untrained, digits_folder, tmp_path, capsys):
    words = [
        "sweep",
        str(untrained),
        "--data-dir",
        str(digits_folder),
        "--out",
        str(tmp_path / "s"),
        "--thresholds",
        "1",
        "--device",
        "cpu",
    ]
    assert main(words) == 0
    assert main([*words, "--learning-rate", "0.5"]) == 1
    assert "put it aside (--force), or choose another folder (--out)" in capsys.readouterr().err
    assert main([*words, "--learning-rate", "0.5", "--force"]) == 0
    assert (tmp_path / "s.1" / "sweep.json").is_file() and (tmp_path / "s" / "sweep.json").is_file()


def test_a_compression_says_how_long_it_will_be(untrained, digits_folder, tmp_path, capsys):
    words = ["compress", str(untrained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "c"), *QUICK]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert (
        "pruning in rounds: 1 x 1 epochs, then 1 of fine-tuning" in text
        and "sharing weights: 1 epochs of fine-tuning" in text
    )
