"""The studies' numbers, again from their data: the pages of the lab stand or fall with these. Slow: whole test sets."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from host_train.cli import main, make_parser
from host_train.commands.study import STUDIES, Study, carry_out
from host_train.compression.front import read_point
from host_train.data import load_dataset
from host_train.networks import RECIPES
from host_train.networks.step import step_cost
from host_train.networks.vgg_bnn import build_vgg_bnn
from host_train.runs.beside import Training, plot_beside
from host_train.runs.run import division
from host_train.settings import Settings
from host_train.training.fit import fit
from host_train.training.tensors import TensorData
from pynq_cnn.model import Conv2d, Dense, stored_bytes
from pynq_cnn.zoo import load_model, models

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def published_data(monkeypatch):
    monkeypatch.delenv("PYNQ_CNN_DATA")  # the real data, of the user's cache


def top1(name: str, capsys) -> float:
    capsys.readouterr()
    assert main(["evaluate", name, "--json"]) == 0
    return json.loads(capsys.readouterr().out)["top1"]


@pytest.mark.parametrize(
    ("name", "reached", "ratio", "dense"), [("lenet5", 0.9934, 155, 1_724_320), ("deepnet", 0.9911, 1465, 26_306_088)]
)
def test_deep_compression(name, reached, ratio, dense, capsys):
    """docs/lab/results.md: the same integers give the same answers, so these are exact."""
    assert top1(name, capsys) == reached
    assert dense / sum(size.stored for size in stored_bytes(models()[name].path)) >= ratio


def test_lenet5_small(tmp_path):
    """docs/lab/compression-study.md: 296.3x at 99.25 %; other sums of PyTorch give another training."""
    steps = [
        step
        for step in STUDIES["compression"].steps
        if step.split("--out ")[1] in ("{out}/lenet5", "{out}/lenet5-small")
    ]
    assert len(steps) == 2
    carry_out(Study("", "", tuple(steps)), tmp_path, make_parser()._subparsers._group_actions[0].choices)
    one = read_point(tmp_path / "lenet5-small")
    assert one.ratio == pytest.approx(296, abs=6) and one.top1 > 0.99 and one.validation > 0.985


@pytest.mark.parametrize(("name", "reached"), [("vgg_bnn_half", 0.8651), ("vgg_bnn", 0.8926)])
def test_binary_networks(name, reached, capsys):
    """docs/lab/results.md: bits give the same answers everywhere."""
    assert top1(name, capsys) == reached


def test_stochastic_binarisation(tmp_path):
    """docs/lab/binary-trainings.md, *In small*: the network an eighth as wide as `vgg_bnn`, 9,000 images, 4 epochs, two
    seeds.
    """
    recipe, data = RECIPES["vgg_bnn_half"], load_dataset("cifar10")
    schedule = replace(recipe.schedule, epochs=4, batch=25, compiled=False, bfloat16=False, clean_images=1000)
    trained: dict[str, list[Training]] = {"deterministic": [], "stochastic": []}
    for seed in (0, 1):
        parts = division(replace(recipe, validation=1000), data.train[:10000], seed)
        train, held_back = (TensorData.of(part, recipe.mean, recipe.std, "cpu") for part in parts)
        for name, some in trained.items():
            torch.manual_seed(seed)
            stochastic = name == "stochastic"
            model = build_vgg_bnn(16, stochastic=stochastic)
            history = fit(model, train, held_back, schedule, tmp_path / f"{name}-{seed}", seed=seed, progress=False)
            settings = Settings(recipe.name, seed=seed, stochastic=stochastic)
            some.append(Training(settings, [asdict(one) for one in history], None))
    plot_beside(trained, tmp_path / "binarisation.png", "an eighth of the width, 9,000 images, two seeds")  # the page's
    ends = {name: [one.history[-1]["validation_accuracy"] for one in some] for name, some in trained.items()}
    print(ends)
    assert ends["deterministic"] == pytest.approx([0.459, 0.440], abs=0.06)
    assert ends["stochastic"] == pytest.approx([0.352, 0.315], abs=0.06)
    assert min(ends["deterministic"]) > max(ends["stochastic"]) + 0.04


def test_the_course(capsys):
    assert top1("lenet", capsys) == 0.9917  # the course reports 97.26 %


def test_frequency_of_lenet(tmp_path):
    """docs/lab/frequency-study.md, the tables of `rates lenet`: a machine whose FFT rounds otherwise may choose other
    steps.
    """
    assert main(["rates", "lenet", "--rates", "3,4", "--out", str(tmp_path)]) == 0
    weights = {(int(one["rate"]), one["method"]): one for one in np.load(tmp_path / "weights.npy")}
    assert weights[3, "space"]["top1"] == pytest.approx(0.9246, abs=0.01)
    assert weights[3, "frequency"]["top1"] == pytest.approx(0.9560, abs=0.01)
    assert weights[3, "either"]["top1"] > weights[3, "space"]["top1"] + 0.01
    assert weights[3, "frequency"]["logit_error"] < weights[3, "frequency, one step"]["logit_error"]
    assert weights[4, "either"]["top1"] == pytest.approx(0.9871, abs=0.004)
    maps = {(int(one["rate"]), one["method"]): one for one in np.load(tmp_path / "maps.npy")}
    assert maps[3, "frequency, water-filling"]["top1"] == pytest.approx(0.9872, abs=0.004)
    assert maps[3, "space, uniform"]["top1"] == pytest.approx(0.9899, abs=0.004)
    assert maps[3, "frequency, uniform"]["top1"] < 0.96


def test_pruned_networks_lose_in_frequency(tmp_path):
    """docs/lab/frequency-study.md: bytes of the weights, pruned and shared as they are shipped, and dense."""
    assert main(["rates", "lenet5", "--of", "weights", "--rates", "8", "--out", str(tmp_path)]) == 0
    dense = sum(layer.weight_count for layer in load_model("lenet5").layers if isinstance(layer, (Conv2d, Dense)))
    points = {one["method"]: one for one in np.load(tmp_path / "weights.npy")}
    assert points["space"]["bits"] * dense / 8 == pytest.approx(40_112, abs=1) and points["space"]["top1"] == 0.9934
    assert points["frequency"]["bits"] * dense / 8 == pytest.approx(65_258, rel=0.01)
    arrays = ("codebook", "code_lengths", "stream")
    files = [path for path in models()["lenet5"].path.glob("layer.*.npy") if path.name.split(".")[2] in arrays]
    assert sum(path.stat().st_size for path in files) == 8_638


def test_network_in_network(tmp_path: Path):
    """docs/lab/network-in-network.md: what one and two 1x1 layers keep for the backward pass."""
    kept = {
        name: step_cost(RECIPES[name].build(), name, (1, 112, 112), 16, steps=1).kept_bytes / 16
        for name in ("nin_one", "nin")
    }
    assert kept["nin"] / kept["nin_one"] == pytest.approx(1.42, abs=0.02)
