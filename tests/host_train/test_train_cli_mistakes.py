"""Mistakes at `python -m host_train` are told in a line."""

from __future__ import annotations

import pytest
import torch
from digits import QUICK

from host_train.cli import main, make_parser
from host_train.commands.options import find_device
from host_train.networks import RECIPES
from host_train.settings import Settings
from pynq_cnn.errors import ArgumentError


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "lenet", "--epochs", "1", "--out", "FILE"], "FILE cannot be used"),
        (["train", "lenet", "--epochs", "1", "--out", "FILE/run"], "cannot be used"),
        (["sweep", "RUN", "--out", "FILE"], "FILE cannot be used"),
        (["compress", "RUN", "--out", "FILE"], "cannot be used"),
        (["export", "RUN", "--out", "FILE/x"], "cannot be written"),
        (["export", "RUN", "--format", "torchscript", "--out", "FILE/x.pt"], "cannot be used"),
        (["evaluate", "RUN", "--plot", "FILE/x.png"], "cannot be used"),
        (["evaluate", "RUN", "--plot", "x.xyz"], "x.xyz must be the name of a picture, such as x.png"),
        (["evaluate", "lenet", "--plot", "x"], "its suffix may be"),
    ],
)
def test_places_that_cannot_be_written_are_told_in_a_line(trained, digits_folder, tmp_path, capsys, arguments, said):
    (tmp_path / "FILE").write_text("mine")
    words = [word.replace("RUN", str(trained)).replace("FILE", str(tmp_path / "FILE")) for word in arguments]
    assert main([*words, "--data-dir", str(digits_folder)]) == 1
    err = capsys.readouterr().err.splitlines()
    assert (
        len(err) == 1 and err[0].startswith("host_train: ") and said.replace("FILE", str(tmp_path / "FILE")) in err[0]
    )
    assert (tmp_path / "FILE").read_text() == "mine"


def test_binary_networks_take_no_quantisation_aware_training(tmp_path, digits_folder, capsys):
    words = ["train", "vgg_bnn", "--data-dir", str(digits_folder), "--out", str(tmp_path / "r"), "--qat-epochs"]
    assert main([*words, "2"]) == 1
    assert "vgg_bnn has binary weights" in capsys.readouterr().err and not (tmp_path / "r").exists()
    assert Settings("vgg_bnn", qat_epochs=0).resolve() == RECIPES["vgg_bnn"]


@pytest.mark.parametrize(("cuda", "mps", "found"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")])
def test_the_device_is_the_best_there_is(monkeypatch, cuda, mps, found):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert find_device("auto") == found and find_device("cpu") == "cpu"
    assert make_parser().parse_args(["train", "lenet"]).device == "auto"


@pytest.mark.parametrize("device", ["meta", "abacus", "", "cuda:", "cuda:99", "cpu:x"])
def test_other_devices_are_refused(device):
    with pytest.raises(ArgumentError, match=f"--device {device} cannot be used"):
        find_device(device)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "resnet"], "no network is called 'resnet'; there are lenet"),
        (["train", "lenet", "--data-dir", "DATA", "--out", "RUN", *QUICK], "--resume"),
        (
            ["train", "lenet", "--data-dir", "DATA", "--out", "RUN", "--resume", "--seed", "5"],
            "of another run, 'python -m host_train train lenet --seed 4",
        ),
        (["train", "lenet", "--data-dir", "DATA", "--out", "OTHER", "--epochs", "0"], "epochs must be"),
        (["train", "lenet", "--data-dir", "DATA", "--out", "OTHER", "--seed", "-1"], "seed must be"),
        (
            ["train", "lenet", "--data-dir", "DATA", "--out", "OTHER", "--threads", "0"],
            "--threads must be an integer from 1, not 0",
        ),
        (
            ["train", "lenet", "--data-dir", "DATA", "--out", "OTHER", "--device", "abacus"],
            "--device abacus cannot be used",
        ),
        (["train", "lenet", "--data-dir", "DATA", "--out", "OTHER", "--batch", "631"], "less than a batch of 631"),
        (["export", "OTHER"], "OTHER is no run, no model package and no shipped network (convnet, "),
        (["sweep", "OTHER"], "is no run: run.json is not there; train first"),
        (["evaluate", "OTHER"], "OTHER is no run, no model package and no shipped network (convnet, "),
        (["evaluate", "RUN", "--dataset", "cifar10", "--data-dir", "DATA"], "remove --dataset cifar10"),
    ],
)
def test_mistakes_are_told_in_a_line(trained, digits_folder, tmp_path, capsys, arguments, message):
    places = {"DATA": str(digits_folder), "RUN": str(trained), "OTHER": str(tmp_path / "OTHER")}
    assert main([places.get(word, word) for word in arguments]) == 1
    err = capsys.readouterr().err
    assert err.startswith("host_train: ") and message in err
