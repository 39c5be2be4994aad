"""`python -m host_train convert`."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from host_train.cli import main  # noqa: E402
from pynq_cnn.model import load_package  # noqa: E402

SOURCE = """
import torch
from torch import nn

class Mine(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 4, 5, stride=3), nn.Linear(256, 10)

    def forward(self, x):
        return self.fc(torch.relu(self.conv(x)).flatten(1))

def bad():
    return nn.Sequential(nn.Conv2d(1, 1, 28), nn.Tanh(), nn.Flatten())

def nothing():
    return 3

number = 4
"""


@pytest.fixture
def source(tmp_path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


def test_a_model_in_a_file_becomes_a_measured_package(source, digits_folder, tmp_path, capsys):
    state = nn.ModuleDict({"conv": nn.Conv2d(1, 4, 5), "fc": nn.Linear(256, 10)}).state_dict()
    torch.save(state, tmp_path / "weights.pt")
    out = tmp_path / "packages" / "mine"
    base = ["convert", f"{source}:Mine", "--dataset", "mnist", "--data-dir", str(digits_folder), "--out", str(out)]
    assert main([*base, "--weights", str(tmp_path / "weights.pt"), "--method", "mse", "--shared"]) == 0
    text = capsys.readouterr().out
    assert "on 700 training images: the integers choose the model's class" in text and f"written: {out}" in text
    network = load_package(out)
    assert network.name == "mine" and network.input.fit == "digit" and network.metadata["conversion"]["method"] == "mse"
    assert network.metadata["accuracy"]["images"] == 120 and network.layers[0].shared is not None
    largest = state["conv.weight"].abs().argmax()
    assert abs(int(network.layers[0].weight.transpose(0, 3, 1, 2).ravel()[largest])) == 127
    assert main(["evaluate", str(out), "--data-dir", str(digits_folder)]) == 0  # the package says which data set is its
    assert f"top-1 {100 * network.metadata['accuracy']['int8_top1']:.2f} %" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("mine.py", "'mine.py' must be a Python file and a name in it"),
        ("nowhere.py:build", "nowhere.py is no file"),
        ("SOURCE:missing", "has no function or class missing"),
        ("SOURCE:number", "has no function or class number"),
        ("SOURCE:nothing", "gives 3, not a torch.nn.Module"),
        ("SOURCE:bad", "1: a Tanh cannot be mapped; use ReLU"),
    ],
)
def test_mistakes_are_told_in_a_line(source, digits_folder, tmp_path, capsys, place, message):
    place = place.replace("SOURCE", str(source))
    assert main(["convert", place, "--dataset", "mnist", "--data-dir", str(digits_folder), "--out", str(tmp_path / "out")]) == 1
    err = capsys.readouterr().err
    assert err.startswith("host_train: ") and message in err and not (tmp_path / "out").exists()
