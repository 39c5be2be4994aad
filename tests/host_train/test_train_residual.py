"""Residual networks: their blocks, and their recipes from training to the studies."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from host_train.cli import main
from host_train.layers.residual import Residual
from host_train.networks import RECIPES
from host_train.training.schedule import Schedule


@pytest.mark.parametrize(("name", "blocks"), [("resnet8", 3), pytest.param("resnet20", 9, marks=pytest.mark.slow)])
def test_residual_networks_are_trained_and_measured(name, blocks, tmp_path, monkeypatch, capsys):
    recipe = RECIPES[name]
    assert sum(isinstance(one, Residual) for one in recipe.build().modules()) == blocks
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 10, 70).astype(np.uint8)
    images = (labels[:, None, None, None] * 25 + generator.integers(0, 6, (70, 32, 32, 3))).astype(np.uint8)
    np.savez(
        tmp_path / "cifar10.npz",
        train_images=images[:60],
        train_labels=labels[:60],
        test_images=images[60:],
        test_labels=labels[60:],
    )
    quick = Schedule(epochs=2, batch=16, optimiser="sgd", learning_rate=0.1, clean_images=50)
    monkeypatch.setitem(RECIPES, name, replace(recipe, teacher=None, schedule=quick, whole=replace(quick, epochs=1)))
    data = ["--data-dir", str(tmp_path), "--device", "cpu"]
    run = str(tmp_path / "run")
    assert main(["train", name, "--out", run, "--quiet", *data]) == 0
    assert main(["evaluate", run, "--json", *data]) == 0
    assert main(["profile", name, "--json"]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    one_each = [f"--{stage}=1" for stage in ("rounds", "round-epochs", "tune-epochs", "share-epochs")]
    commands = [["export"], ["compress", "--quiet", *one_each], ["sweep", "--thresholds=1"], ["spectrum"]]
    for command, *options in commands[:3] if name == "resnet8" else commands:  # the last has many plots
        assert main([command, run, *options, "--data-dir", str(tmp_path)]) == 0, capsys.readouterr().err
    assert last[0]["parameters"] == sum(p.numel() for p in recipe.build().parameters())


def test_a_block_is_the_sum_of_two_paths():
    body, shortcut = nn.Conv2d(2, 3, 3, 2, 1), nn.Conv2d(2, 3, 1, 2)
    x = torch.randn(2, 2, 6, 6)
    assert torch.equal(Residual(body, shortcut)(x), torch.relu(body(x) + shortcut(x)))
    flat = nn.Conv2d(2, 2, 1)
    assert torch.equal(Residual(flat)(x), torch.relu(flat(x) + x))
