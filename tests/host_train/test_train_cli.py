"""`python -m host_train` from training to a package and its sample."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from digits import QUICK

from host_train.cli import main
from host_train.data import load_dataset
from host_train.runs.quantising import in_integers
from host_train.runs.run import Run
from pynq_cnn.model import load_package

ROOT = Path(__file__).parents[2]


def test_training_leaves_everything_in_its_folder(trained, capsys):
    files = {path.relative_to(trained).as_posix() for path in trained.rglob("*") if path.is_file()}
    stage = {"checkpoint.pt", "weights.pt", "history.json", "curves.png"}
    assert files >= {
        "run.json",
        "evaluation.json",
        "confusion.png",
        *(f"{s}/{f}" for s in ("float", "qat") for f in stage),
    }
    assert not any(name.split("/")[-1].startswith(".") for name in files)
    assert [record["epoch"] for record in json.loads((trained / "qat" / "history.json").read_text())] == [1, 2]
    assert (
        json.loads((trained / "run.json").read_text())["command"]
        == "python -m host_train train lenet --seed 4 --epochs 3 --batch 32 --qat-epochs 2"
    )


def test_interrupted_training_gives_what_an_uninterrupted_one_does(trained, tmp_path, digits_folder):
    assert main(["train", "lenet", "--data-dir", str(digits_folder), "--out", str(tmp_path), "--quiet", *QUICK]) == 0
    for stage in ("float", "qat"):
        whole, parts = (torch.load(folder / stage / "weights.pt", weights_only=True) for folder in (tmp_path, trained))
        assert whole.keys() == parts.keys() and all(torch.equal(whole[name], parts[name]) for name in whole)
    assert json.loads((tmp_path / "evaluation.json").read_text()) == json.loads(
        (trained / "evaluation.json").read_text()
    )


def test_export_writes_a_package_with_its_own_accuracy(trained, digits_folder, capsys, tmp_path):
    assert main(["export", str(trained), "--data-dir", str(digits_folder)]) == 0
    text = capsys.readouterr().out
    assert all(label in text for label in ("max", "percentile", "mse", "qat", "<- exported"))
    network = load_package(trained / "package")
    stated = network.metadata["accuracy"]
    assert (
        network.metadata["dataset"] == "MNIST" and not network.metadata["dataset_original"] and stated["images"] == 120
    )
    assert len(network.golden.images) == 32 and network.input.fit == "digit" and network.input.invert == "auto"
    assert [type(layer).__name__ for layer in network.layers] == [
        "Conv2d",
        "MaxPool2d",
        "Conv2d",
        "MaxPool2d",
        "Dense",
        "Dense",
    ]

    assert main(["evaluate", str(trained / "package"), "--data-dir", str(digits_folder), "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["top1"] == stated["integer_top1"] and measured["model"] == "lenet, integers"
    assert (
        main(["evaluate", str(trained), "--data-dir", str(digits_folder), "--json", "--plot", str(tmp_path / "c.png")])
        == 0
    )
    measured = json.loads(capsys.readouterr().out)
    assert measured["top1"] == stated["float32_top1"] and measured["model"] == "lenet, float32"
    assert (tmp_path / "c.png").exists() and measured["top1"] > 0.5
    assert main(["evaluate", str(trained / "package"), "--data-dir", str(digits_folder), "--split", "train"]) == 0
    assert "of 700)" in capsys.readouterr().out


def test_fake_quantisation_predicts_the_integers(trained, digits_folder):
    run = Run.open(trained, digits_folder)
    data = run.tensors(run.dataset.test)
    from host_train.evaluation.evaluate import predict_integers

    with torch.no_grad():
        fake = torch.cat([run.qat_model()(images) for images, _ in data.batches()]).numpy()
    integers = predict_integers(in_integers(run, run.qat_model()))(run.dataset.test.images)
    assert np.abs(fake - integers).mean() < 0.02 * fake.std()
    assert (fake.argmax(1) == integers.argmax(1)).mean() > 0.97


def test_an_interrupted_quantisation_aware_training_blocks_no_other_export(trained, digits_folder, tmp_path, capsys):
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run" / "qat" / "weights.pt").unlink()
    arguments = ["export", str(tmp_path / "run"), "--data-dir", str(digits_folder), "--out", str(tmp_path / "p")]
    for how in ("auto", "qat"):
        assert main([*arguments, "--quantise", how]) == 1
        err = capsys.readouterr().err
        assert "qat/weights.pt is not there" in err and "train lenet --seed 4 --epochs 3" in err and "--resume" in err
    assert main([*arguments, "--quantise", "max"]) == 0
    assert "qat" not in capsys.readouterr().out and load_package(tmp_path / "p").metadata["quantisation"] == "max"
    resume = [
        "train",
        "lenet",
        "--data-dir",
        str(digits_folder),
        "--out",
        str(tmp_path / "run"),
        "--resume",
        *QUICK,
    ]
    assert main(resume) == 0 and main(arguments) == 0


def test_the_way_to_quantise_can_be_named(trained, digits_folder, tmp_path, capsys):
    arguments = ["export", str(trained), "--data-dir", str(digits_folder), "--out", str(tmp_path / "p")]
    assert main([*arguments, "--quantise", "percentile"]) == 0
    assert load_package(tmp_path / "p").metadata["quantisation"] == "percentile"
    assert main([*arguments, "--quantise", "median"]) == 1
    assert "auto, max, percentile, mse, qat" in capsys.readouterr().err


def test_integers_that_lost_what_the_run_knows_are_not_written(trained, digits_folder, tmp_path, capsys):
    """One channel of an equivalent network times 3000: PyTorch answers as before, the bytes of the other channels are
    gone.
    """
    run, out = shutil.copytree(trained, tmp_path / "run"), tmp_path / "p"
    weights = run / "float" / "weights.pt"
    state = torch.load(weights)
    state["fc1.weight"][3] *= 3000
    state["fc1.bias"][3] = 3000 * state["fc1.bias"][3].abs()  # on for some images at least
    state["fc2.weight"][:, 3] /= 3000
    torch.save(state, weights)
    arguments = ["export", str(run), "--data-dir", str(digits_folder), "--out", str(out), "--quantise", "max"]
    assert main(arguments) == 1
    err = capsys.readouterr().err
    assert (
        "of the 120 test images, less than the 95 % asked for; they part in layer fc1" in err
        and "its channel 3 is" in err
    )
    assert err.count("\n") == 1 and not out.exists()
    assert main([*arguments, "--min-agreement", "0"]) == 0
    assert load_package(out).metadata["accuracy"]["agreement"] < 0.95
    for command in ("export", "huffman", "compress"):
        assert main([command, str(run), "--data-dir", str(digits_folder), "--min-agreement", "95"]) == 1
        assert "min_agreement must be a number from 0 (take anything) to 1, not 95.0" in capsys.readouterr().err


def test_the_shipped_lenet_reads_the_shipped_sample():
    """Of 500 digits chosen without looking at the answers."""
    from pynq_cnn.backends.reference import ReferenceBackend

    network = load_package(ROOT / "pynq_cnn" / "models" / "lenet")
    with np.load(ROOT / "pynq_cnn" / "samples" / "mnist.npz", allow_pickle=False) as sample:
        images, labels = sample["images"], sample["labels"]
    assert images.shape == (500, 28, 28) and np.bincount(labels).tolist() == [50] * 10
    assert (ReferenceBackend(network).run(images[..., None]).argmax(1) == labels).mean() >= 0.98


@pytest.mark.slow
def test_the_shipped_lenet_has_its_stated_accuracy_on_the_full_test_set(monkeypatch):
    from host_train.evaluation.evaluate import evaluate, predict_integers
    from pynq_cnn.errors import DatasetError

    monkeypatch.delenv("PYNQ_CNN_DATA")
    try:
        dataset = load_dataset("mnist")
    except DatasetError as error:
        pytest.skip(str(error))
    network = load_package(ROOT / "pynq_cnn" / "models" / "lenet")
    result = evaluate(predict_integers(network), dataset.test, network.classes)
    stated = network.metadata["accuracy"]
    assert result.images == stated["images"] == 10000 and result.top1 == stated["integer_top1"] >= 0.988
    assert stated["float32_top1"] - result.top1 <= 0.002
    with np.load(ROOT / "pynq_cnn" / "samples" / "mnist.npz", allow_pickle=False) as sample:
        assert np.array_equal(dataset.test.images[sample["indices"], :, :, 0], sample["images"])
        assert np.array_equal(dataset.test.labels[sample["indices"]], sample["labels"])


@pytest.mark.slow
def test_a_short_training_on_real_digits(tmp_path, monkeypatch):
    monkeypatch.delenv("PYNQ_CNN_DATA")
    assert main(["train", "lenet", "--out", str(tmp_path), "--epochs", "2", "--qat-epochs", "1", "--quiet"]) == 0
    assert json.loads((tmp_path / "evaluation.json").read_text())["top1"] > 0.97
