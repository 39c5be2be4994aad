"""The command export with its formats."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from exports import contents, convolutional
from torch import nn

from host_train.cli import main
from host_train.export.mat import read_mat
from host_train.export.torchscript import read_torchscript, write_torchscript
from host_train.export.txt import read_txt
from host_train.runs import quantising
from host_train.runs.run import Run
from host_train.settings import Settings
from host_train.training.checkpoint import save_state
from host_train.training.fit import WEIGHTS
from pynq_cnn.model import InputSpec, load_package, save_package
from pynq_cnn.zoo import load_model


@pytest.fixture
def trained(tmp_path, digits_folder) -> Path:
    """A run of an untrained lenet, as if trained for its epochs."""
    folder = tmp_path / "run"
    run = Run.create(folder, Settings("lenet", qat_epochs=0), digits_folder)
    save_state(folder / "float" / WEIGHTS, run.recipe.build().state_dict())
    return folder


def test_export_writes_each_format_and_all_say_the_same(trained, digits_folder, capsys):
    for options in (
        ["--quantise", "max"],
        ["--quantise", "max", "--format", "mat"],
        ["--quantise", "max", "--format", "txt"],
    ):
        assert main(["export", str(trained), "--data-dir", str(digits_folder), *options]) == 0
    assert main(["export", str(trained), "--data-dir", str(digits_folder), "--format", "torchscript"]) == 0
    assert capsys.readouterr().out.count("written: ") == 4
    network = load_package(trained / "package")
    assert read_mat(trained / "network.mat") == network and read_txt(trained / "txt") == network
    script, spec, classes, _ = read_torchscript(trained / "model.pt")
    assert spec == network.input and classes == network.classes
    run = Run.open(trained, digits_folder)
    images = next(iter(run.tensors(run.dataset.test).batches()))[0]
    with torch.no_grad():
        assert torch.allclose(script(images), run.float_model()(images), atol=1e-6)


def test_several_formats_are_of_one_calibration(trained, digits_folder, tmp_path, capsys, monkeypatch):
    asked = []
    candidates = quantising.candidates
    monkeypatch.setattr(quantising, "candidates", lambda run, how="auto": asked.append(how) or candidates(run, how))
    base = ["export", str(trained), "--data-dir", str(digits_folder), "--format", "txt,npy,torchscript,mat"]
    assert main(base) == 0
    text = capsys.readouterr().out
    assert asked == ["auto"] and text.count("written: ") == 4 and text.count("<- exported") == 1
    network = load_package(trained / "package")
    assert (
        network == read_mat(trained / "network.mat") == read_txt(trained / "txt") and (trained / "model.pt").is_file()
    )
    assert main([*base, "--out", str(tmp_path / "all"), "--quantise", "max"]) == 0
    assert {path.name for path in (tmp_path / "all").iterdir()} == {"package", "network.mat", "txt", "model.pt"}
    assert load_package(tmp_path / "all" / "package").metadata["quantisation"] == "max"
    for words, message in {"mat,onnx": "not 'onnx'", "": "not ''", "mat,": "not ''"}.items():
        assert main(["export", str(trained), "--data-dir", str(digits_folder), "--format", words]) == 1
        assert (
            f"--format must be of npy, mat, txt, torchscript, float-mat, float-txt, separated by commas, {message}"
            in capsys.readouterr().err
        )


def test_a_shipped_network_is_exported_as_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", "vgg_bnn_half", "--format", "mat,txt,npy"]) == 0
    text, out = capsys.readouterr().out, Path("exports") / "vgg_bnn_half"
    assert text.count("written: ") == 3 and "vgg_bnn_half is in integers already" in text and "86.51 %" in text
    network = load_model("vgg_bnn_half")
    assert network == read_mat(out / "network.mat") == read_txt(out / "txt") == load_package(out / "package")
    assert main(["export", "lenet", "--format", "mat", "--out", "my.mat"]) == 0 and read_mat("my.mat") == load_model(
        "lenet"
    )


def test_a_package_is_exported_by_its_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    network = convolutional(shared=True)
    save_package(network, tmp_path / "packages" / "mine")
    before = contents(tmp_path / "packages")
    assert main(["export", "packages/mine", "--format", "txt"]) == 0
    assert read_txt(tmp_path / "exports" / "small" / "txt") == network and contents(tmp_path / "packages") == before
    (tmp_path / "packages" / "mine" / "output.scale.npy").unlink()
    assert main(["export", "packages/mine", "--format", "mat"]) == 1
    assert (
        "output.scale.npy" in capsys.readouterr().err and not (tmp_path / "exports" / "small" / "network.mat").exists()
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["lenet", "--format", "torchscript"],
            "TorchScript is of the model in floating point, which cannot be had from them; give the folder",
        ),
        (
            ["lenet", "--format", "mat,torchscript"],
            "TorchScript is of the model in floating point, which cannot be had from them",
        ),
        (["lenet", "--quantise", "qat"], "lenet is in integers already; remove --quantise qat"),
        (["nowhere"], "nowhere is no run, no model package and no shipped network (convnet, "),
        (["."], ". is no run, no model package and no shipped network"),
    ],
)
def test_what_cannot_be_had_from_integers_is_refused(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert main(["export", *words]) == 1
    assert message in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_export_takes_a_place_and_refuses_what_does_not_go_together(trained, digits_folder, tmp_path, capsys):
    base = ["export", str(trained), "--data-dir", str(digits_folder)]
    assert main([*base, "--format", "torchscript", "--out", str(tmp_path / "mine.pt")]) == 0
    assert (tmp_path / "mine.pt").is_file()
    assert main([*base, "--format", "torchscript", "--quantise", "max"]) == 1
    assert "remove --quantise max" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["npy", "txt", "mat", "torchscript"])
def test_a_place_that_cannot_be_taken_is_told_before_anything_is_measured(
    trained, digits_folder, tmp_path, capsys, monkeypatch, form
):
    def measure(self, how="auto"):
        raise AssertionError("measured")

    monkeypatch.setattr(quantising, "candidates", measure)
    monkeypatch.setattr(Run, "float_model", measure)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.json").write_text("{}")
    for out in (tmp_path / "out", trained):
        before = contents(out)
        assert (
            main(["export", str(trained), "--data-dir", str(digits_folder), "--format", form, "--out", str(out)]) == 1
        )
        assert f"host_train: {out} " in capsys.readouterr().err and contents(out) == before


def test_writing_torchscript_leaves_the_model_in_its_mode(tmp_path):
    model = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(4, 2))
    write_torchscript(model, InputSpec(2, 2, 1, "L", (0.0,), (1.0,)), "ab", tmp_path / "m.pt")
    assert model.training and all(module.training for module in model)
    script, *_ = read_torchscript(tmp_path / "m.pt")
    x = torch.rand(5, 1, 2, 2)
    assert torch.equal(script(x), model.eval()(x))
