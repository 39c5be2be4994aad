"""The studies' numbers, again from their data: the pages of the lab stand or fall with these. Slow: whole test sets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from host_train.cli import main
from host_train.networks import RECIPES
from host_train.networks.step import step_cost
from pynq_cnn.model import stored_bytes
from pynq_cnn.zoo import models

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
    assert maps[3, "space, uniform"]["top1"] == pytest.approx(0.9852, abs=0.004)
    assert maps[3, "frequency, uniform"]["top1"] < 0.96


def test_network_in_network(tmp_path: Path):
    """docs/lab/network-in-network.md: what one and two 1x1 layers keep for the backward pass."""
    kept = {
        name: step_cost(RECIPES[name].build(), name, (1, 112, 112), 16, steps=1).kept_bytes / 16
        for name in ("nin_one", "nin")
    }
    assert kept["nin"] / kept["nin_one"] == pytest.approx(1.42, abs=0.02)
