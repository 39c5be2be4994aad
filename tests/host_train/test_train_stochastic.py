"""Stochastic binary weights, an option of a training."""

from __future__ import annotations

import json
from functools import partial

import pytest
import torch
from torch import nn

from host_train.cli import main
from host_train.layers.binary import BinaryConv2d, BinaryLayer, BinaryLinear
from host_train.networks import RECIPES, Recipe
from host_train.runs.run import Run
from host_train.settings import Settings
from host_train.training.schedule import Schedule
from pynq_cnn.errors import ArgumentError


def tiny_bnn(stochastic: bool = False) -> nn.Sequential:
    return nn.Sequential(
        *(
            BinaryConv2d(1, 8, 3, padding=1, input_step=1 / 128, stochastic=stochastic),
            nn.BatchNorm2d(8),
            nn.Hardtanh(),
            nn.MaxPool2d(4),
        ),
        *(nn.Flatten(), BinaryLinear(392, 10, stochastic=stochastic)),
    )


def test_stochastic_training_is_an_option_of_binary_networks(digits_folder, tmp_path, monkeypatch, capsys):
    centre = (128 / 255,)
    schedule = Schedule(epochs=2, batch=32, learning_rate=1e-2, weight_decay=0.0)
    recipe = Recipe(
        "bnn",
        "a small one",
        "mnist",
        tiny_bnn,
        schedule,
        mean=centre,
        std=centre,
        build_stochastic=partial(tiny_bnn, True),
    )
    monkeypatch.setitem(RECIPES, "bnn", recipe)
    data = ["--data-dir", str(digits_folder), "--quiet"]
    for folder, options in (("a", ["--stochastic"]), ("b", ["--stochastic"]), ("c", [])):
        assert main(["train", "bnn", "--out", str(tmp_path / folder), *options, *data]) == 0
    about = json.loads((tmp_path / "a" / "run.json").read_text())
    assert about["stochastic"] is True and about["command"] == "python -m host_train train bnn --seed 0 --stochastic"
    assert Run.open(tmp_path / "a", digits_folder).settings == Settings("bnn", stochastic=True)
    weights = [torch.load(tmp_path / folder / "float" / "weights.pt", weights_only=True) for folder in "abc"]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])  # drawn by the seed
    assert not torch.equal(weights[0]["0.weight"], weights[2]["0.weight"])
    capsys.readouterr()
    assert main(["train", "bnn", "--out", str(tmp_path / "a"), "--resume", *data]) == 1
    assert "of another run" in capsys.readouterr().err


def test_stochastic_builds_and_evaluates_as_it_should():
    net = Settings("vgg_bnn_half", stochastic=True).resolve().build()
    layers = [layer for layer in net.modules() if isinstance(layer, BinaryLayer)]
    assert len(layers) == 7 and all(layer.stochastic for layer in layers)
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(net.eval()(x), net(x)) and not torch.equal(net.train()(x), net(x))
    plain = Settings("vgg_bnn_half").resolve().build()
    assert not any(layer.stochastic for layer in plain.modules() if isinstance(layer, BinaryLayer))


def test_stochastic_is_refused_where_nothing_is_binary(tmp_path, digits_folder, capsys):
    assert main(["train", "lenet", "--stochastic", "--out", str(tmp_path / "r"), "--data-dir", str(digits_folder)]) == 1
    assert "lenet has no binary weights to draw at random, only vgg_bnn, vgg_bnn_half have" in capsys.readouterr().err
    with pytest.raises(ArgumentError, match="stochastic must be True or False, not 1"):
        Settings("vgg_bnn", stochastic=1)
