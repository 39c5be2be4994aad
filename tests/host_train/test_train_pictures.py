"""Pictures of one's own: a folder for each class trains a recipe, which then exports, evaluates and classifies."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from stripes import KINDS, picture, write

import pynq_cnn
import pynq_cnn.cli
from host_train.cli import main
from host_train.networks import RECIPES
from host_train.runs.run import Run
from host_train.settings import Settings
from pynq_cnn.errors import ArgumentError
from pynq_cnn.images import prepare
from pynq_cnn.model import load_package


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("pictures") / "stripes", count=60)


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "lenet"
    options = ["--epochs", "12", "--batch", "16", "--qat-epochs", "1", "--device", "cpu", "--quiet"]
    assert main(["train", "lenet", "--data", str(folder), "--out", str(out), *options]) == 0
    return out


def test_one_command_trains_and_the_others_go_on(trained, folder, capsys, tmp_path):
    assert json.loads((trained / "evaluation.json").read_text())["top1"] > 0.9
    assert main(["export", str(trained)]) == 0
    assert main(["evaluate", str(trained), "--wrong", str(tmp_path / "wrong.csv"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["top1"] > 0.9 and told["dataset"] == "stripes (own pictures)" and told["original"] is False
    for row in csv.DictReader((tmp_path / "wrong.csv").open()):
        assert (folder / row["image"]).parent.name == row["label"]
    package = load_package(trained / "package")
    assert package.classes == KINDS and package.input.fit == "crop" and package.input.invert == "never"
    assert main(["evaluate", str(trained / "package"), "--images", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["top1"] > 0.9
    for kind in KINDS:
        Image.fromarray(picture(kind, 1000)).save(tmp_path / "new.png")
        words = ["classify", str(tmp_path / "new.png"), "--model", str(trained / "package"), "--json"]
        assert pynq_cnn.cli.main(words) == 0
        assert json.loads(capsys.readouterr().out)[0]["label"] == kind


def test_images_are_trained_on_as_they_are_classified(trained, folder):
    """To the last byte, and in shuffled order: the first images calibrate and estimate batch norms."""
    run = Run.open(trained)
    for part, images in (("train", run.dataset.train.images), ("test", run.dataset.test.images)):
        for name, image in zip(run.dataset.names[part], images):
            assert np.array_equal(prepare(folder / name, run.input).pixels, image)
    assert len(run.dataset.train) == 144 and len(run.dataset.test) == 36 and len(run.validation) == 14
    assert np.bincount(run.dataset.test.labels).tolist() == [12, 12, 12]
    assert np.bincount(run.train.labels[:60]).min() > 10
    pixels = run.dataset.train.images / 255
    assert run.mean == pytest.approx((pixels.mean(),), abs=1e-4) and run.std == pytest.approx((pixels.std(),), abs=1e-4)


def test_a_run_knows_its_pictures_again(trained, folder, capsys, tmp_path):
    moved = tmp_path / "elsewhere"
    folder.rename(moved)
    try:
        assert main(["evaluate", str(trained)]) == 1
        assert "is no folder; give one with a folder of pictures for each class" in capsys.readouterr().err
        assert main(["evaluate", str(trained), "--data-dir", str(moved), "--device", "cpu"]) == 0
        Image.fromarray(picture("dots", 999)).save(moved / "dots" / "999.png")
        assert main(["evaluate", str(trained), "--data-dir", str(moved)]) == 1
        assert "was trained on other data" in capsys.readouterr().err
    finally:
        (moved / "dots" / "999.png").unlink(missing_ok=True)
        moved.rename(folder)


def test_a_package_of_them_says_where_to_go(trained, capsys):
    assert main(["export", str(trained), "--quantise", "max"]) == 0
    assert main(["evaluate", str(trained / "package")]) == 1
    assert "give the folder of its run, or to evaluate --images" in capsys.readouterr().err


def test_what_was_read_is_told(tmp_path, capsys):
    write(tmp_path / "own", count=20)
    (tmp_path / "own" / "dots" / "list.txt").write_text("000.png")
    (tmp_path / "own" / "down" / "copy.png").write_bytes((tmp_path / "own" / "down" / "000.png").read_bytes())
    out = ["--out", str(tmp_path / "run"), "--epochs", "1", "--qat-epochs", "0", "--batch", "8", "--device", "cpu"]
    assert main(["train", "lenet", "--data", str(tmp_path / "own"), "--quiet", *out]) == 0
    text = capsys.readouterr().out
    assert re.search(r"class +to train on +held back +for testing\nacross +\d+ +\d+ +4\ndots +\d+ +\d+ +4\n", text)
    assert "each 28 x 28 L by 'crop', as in classifying" in text
    assert "note: 1 files are no pictures by their suffix and are left out: dots/list.txt" in text


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_takes_other_numbers_of_classes(name):
    recipe = Settings(name, pictures="own").resolve(3)
    spec = Settings(name, pictures="own").picture()
    with torch.device("meta"), torch.no_grad():
        model = recipe.build().eval()
        assert model(torch.zeros(2, spec.channels, spec.height, spec.width)).shape == (2, 3)
    assert (recipe.fit, recipe.invert) == ("crop", "never")
    if recipe.binary:
        assert Settings(name, pictures="own", stochastic=True).resolve(7).build()[-1].weight.shape[0] == 7


def test_digits_may_be_found_as_of_the_networks_for_digits(tmp_path):
    settings = Settings("lenet", pictures="own", fit="digit")
    assert (settings.picture().fit, settings.picture().invert) == ("digit", "auto")
    assert settings.command() == "python -m host_train train lenet --seed 0 --data own --fit digit"
    for bad, message in [
        ({"fit": "digit"}, "of pictures of your own; give their folder by --data"),
        ({"fit": "box", "pictures": "x"}, "fit must be one of digit, crop"),
        ({"pictures": ""}, "must be a folder of pictures"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            Settings("lenet", **bad)
    with pytest.raises(ArgumentError, match="resnet8 takes them in colour"):
        Settings("resnet8", pictures="x", fit="digit").resolve()


def test_a_teacher_has_the_same_pictures(tmp_path, monkeypatch):
    """The teacher of a run on one's own pictures is trained on them too, with as many classes."""
    from dataclasses import replace

    from host_train.runs.teaching import teacher_run

    lenet = RECIPES["lenet"]
    monkeypatch.setitem(RECIPES, "pupil", replace(lenet, name="pupil", teacher="lenet"))
    run = Run.create(tmp_path / "run", Settings("pupil", pictures=str(write(tmp_path / "own"))))
    teacher = teacher_run(run)
    assert teacher is not None and teacher.settings.pictures == run.settings.pictures
    assert teacher.recipe.build()[-1].out_features == 3 and teacher.dataset is run.dataset


def test_fewer_pictures_than_a_batch_are_told(tmp_path, capsys):
    words = ["train", "lenet", "--data", str(write(tmp_path / "own")), "--out", str(tmp_path / "run")]
    assert main([*words, "--epochs", "1", "--device", "cpu"]) == 1
    assert "27 images to train on, less than a batch of 128; lower the batch (--batch)" in capsys.readouterr().err
