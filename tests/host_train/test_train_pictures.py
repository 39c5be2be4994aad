"""Pictures of one's own: a folder for each class trains a recipe, which then exports, evaluates and classifies."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from digits import idx_bytes
from PIL import Image

import pynq_cnn
import pynq_cnn.cli
from host_train.cli import main
from host_train.data.dataset import Dataset
from host_train.data.own import load_pictures
from host_train.data.pictures import load_folder
from host_train.networks import RECIPES
from host_train.runs.run import Run
from host_train.settings import Settings
from pynq_cnn.errors import ArgumentError, DatasetError, ImageError
from pynq_cnn.images import prepare
from pynq_cnn.model import InputSpec, load_package

GREY = InputSpec(28, 28, 1, "L", (0.0,), (1.0,))
KINDS = ("across", "dots", "down")


def picture(kind: str, seed: int) -> np.ndarray:
    """Stripes across or down, or dots, with noise, of any size: uint8 [height, width, 3]."""
    generator = np.random.default_rng([seed, KINDS.index(kind)])
    height, width = generator.integers(30, 70, 2)
    y, x = np.mgrid[:height, :width]
    signs = {"across": y // 6 % 2, "down": x // 6 % 2, "dots": (y // 6 + x // 6) % 2}[kind]
    noise = generator.normal(0, 25, (height, width, 3))
    return np.clip(60 + 130 * signs[..., None] + noise, 0, 255).astype(np.uint8)


def write(folder: Path, kinds: Iterable[str] = KINDS, count: int = 12, first: int = 0, suffix: str = "png") -> Path:
    """Pictures, a folder for each class."""
    for kind in kinds:
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number in range(first, first + count):
            Image.fromarray(picture(kind, number)).save(folder / kind / f"{number:03}.{suffix}")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("pictures") / "stripes", count=60)


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "lenet"
    options = ["--epochs", "12", "--batch", "16", "--qat-epochs", "1", "--device", "cpu", "--quiet"]
    assert main(["train", "lenet", "--data", str(folder), "--out", str(out), *options]) == 0
    return out


# -------------------------------------------------------------------------------------------------- from end to end


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


# ---------------------------------------------------------------------------------------------------------- layouts


def load(folder: Path) -> Dataset:
    return load_folder(folder, GREY, progress=False)


def test_splits_of_the_folder_are_taken(tmp_path):
    own = tmp_path / "own"
    for part, first, count in (("train", 0, 10), ("Val", 100, 3), ("test", 200, 4)):
        write(own / part, count=count, first=first)
    dataset = load(own)
    assert len(dataset.train) == 39 and dataset.held_back == 9 and len(dataset.test) == 12
    assert all(name.startswith("Val/") for name in dataset.names["train"][-9:])
    run = Run.create(tmp_path / "run", Settings("lenet", pictures=str(own)))
    assert len(run.train) == 30 and np.array_equal(run.validation.images, dataset.train.images[-9:])
    other = Run.create(tmp_path / "other", Settings("lenet", pictures=str(own), seed=5))
    assert np.array_equal(other.validation.images, run.validation.images)
    train_alone = load(write(tmp_path / "alone" / "train", count=10).parent)
    assert len(train_alone.train) == 24 and len(train_alone.test) == 6 and not train_alone.held_back


def test_the_division_stays_when_pictures_are_added(tmp_path):
    """Four in five pictures that were for testing still are, and none that was trained on is tested with, while few are
    added."""
    before = set(load(write(tmp_path, count=20)).names["test"])
    again = load(tmp_path)
    assert set(again.names["test"]) == before and len(before) == 12
    write(tmp_path, count=5, first=500)
    after = set(load(tmp_path).names["test"])
    assert len(after) == 15 and len(before & after) >= 9


def test_a_class_may_be_called_train(tmp_path):
    write(tmp_path, count=10)
    (tmp_path / "down").rename(tmp_path / "train")
    assert load(tmp_path).spec.classes == ("across", "dots", "train")


def test_numbers_are_in_their_order(tmp_path):
    for number in (10, 9, 2):
        write(tmp_path / "made", ["dots"], first=number * 50).joinpath("dots").rename(tmp_path / f"{number}")
    (tmp_path / "made").rmdir()
    assert load(tmp_path).spec.classes == ("2", "9", "10")


def test_pictures_below_folders_of_a_class_count(tmp_path):
    write(tmp_path / "across" / "holiday", ["down"], count=6).joinpath("down").rename(tmp_path / "across" / "more")
    write(tmp_path, ["dots"], count=6)
    (tmp_path / "dots" / ".hidden.png").write_text("no picture")
    assert load(tmp_path).spec.classes == ("across", "dots")


def test_what_is_wrong_with_a_folder_is_told(tmp_path):
    def refused(folder: Path, message: str, kind: type[Exception] = DatasetError) -> None:
        with pytest.raises(kind, match=message):
            load(folder)

    refused(tmp_path / "missing", "is no folder; give one with a folder of pictures for each class")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "has no folders")
    refused(write(tmp_path / "one", ["dots"]), "has one class only, 'dots'")
    write(tmp_path / "none", ["dots", "down"]).joinpath("across").mkdir()
    refused(tmp_path / "none", "none/across has no picture; put some there, or remove it")
    write(tmp_path / "single", ["dots", "down"])
    write(tmp_path / "single", ["across"], count=1)
    refused(tmp_path / "single", "single/across has one picture only; there must be two")
    refused(write(tmp_path / "few", count=3), "has 6 pictures to train on; there must be 10 at least")
    Image.fromarray(picture("dots", 1)).save(write(tmp_path / "straight") / "lost.png")
    refused(tmp_path / "straight", "lost.png of .* are in no folder of a class")
    write(write(tmp_path / "mixed") / "train")
    refused(tmp_path / "mixed", "has the folder train, which divides pictures, and across, which does not")
    write(write(tmp_path / "untrained" / "val").parent / "test")
    refused(tmp_path / "untrained", "has val, test but no folder train|has test, val but no folder train")
    for part in ("val", "valid", "train"):
        write(tmp_path / "twice" / part)
    refused(tmp_path / "twice", "two folders for validation")
    write(tmp_path / "new" / "train", ["dots", "down"])
    write(tmp_path / "new" / "test")
    refused(tmp_path / "new", "new/test/across is a class of which there is nothing to train on")
    for kind in KINDS:
        (tmp_path / "plain" / kind).mkdir(parents=True)
        for number in range(10):
            Image.new("L", (30, 30), 9).save(tmp_path / "plain" / kind / f"{number}.png")
    refused(tmp_path / "plain", "to train on are of one colour")


def test_damaged_pictures_are_listed_all(tmp_path):
    write(tmp_path)
    good = (tmp_path / "dots" / "000.png").read_bytes()
    (tmp_path / "dots" / "cut.png").write_bytes(good[:200])
    (tmp_path / "down" / "text.jpg").write_text("no picture")
    (tmp_path / "down" / "dangling.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(ImageError, match="3 of 39 pictures cannot be read; repair or remove them") as told:
        load(tmp_path)
    assert all(name in str(told.value) for name in ("dots/cut.png", "down/text.jpg", "down/dangling.png"))


def test_pictures_that_are_in_both_parts_are_told(tmp_path):
    write(tmp_path / "train", count=10)
    write(tmp_path / "test", count=4, first=8)
    dataset = load(tmp_path)
    assert any(
        re.match("6 of 12 pictures for testing are to train on too, byte for byte, such as", n) for n in dataset.notes
    )
    write(tmp_path / "clean" / "train", count=10)
    write(tmp_path / "clean" / "test", ["dots", "down"], count=4, first=50)
    assert load(tmp_path / "clean").notes[-1] == "no picture of 'across' is for testing"


def test_fewer_pictures_than_a_batch_are_told(tmp_path, capsys):
    words = ["train", "lenet", "--data", str(write(tmp_path / "own")), "--out", str(tmp_path / "run")]
    assert main([*words, "--epochs", "1", "--device", "cpu"]) == 1
    assert "27 images to train on, less than a batch of 128; lower the batch (--batch)" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------ torchvision


def test_data_sets_of_torchvision_are_taken(tmp_path, digits):
    """Of files that are there already: nothing is downloaded."""
    pytest.importorskip("torchvision")
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, word in (("train", "train"), ("test", "t10k")):
        (raw / f"{word}-images-idx3-ubyte").write_bytes(idx_bytes(digits[f"{part}_images"]))
        (raw / f"{word}-labels-idx1-ubyte").write_bytes(idx_bytes(digits[f"{part}_labels"]))
    dataset = load_pictures("torchvision:MNIST", GREY, tmp_path)
    assert len(dataset.train) == 700 and len(dataset.test) == 120 and dataset.spec.title == "torchvision's MNIST"
    assert dataset.spec.classes[3] == "3 - three"
    first = int(dataset.names["test"][0].removeprefix("test/"))
    assert np.array_equal(dataset.test.images[0, :, :, 0], digits["test_images"][first])
    assert dataset.test.labels[0] == digits["test_labels"][first]
    settings = Settings("lenet", epochs=1, batch=32, qat_epochs=0, pictures="torchvision:MNIST")
    assert len(Run.create(tmp_path / "run", settings, tmp_path).validation) == 70
    with pytest.raises(DatasetError, match="has no 'Digits'; give the name of one of its classes"):
        load_pictures("torchvision:Digits", GREY, tmp_path)
    for name, message in [
        ("ImageNet", "ImageNet of torchvision, in .* cannot be had: .*; give the folder of its files by --data-dir"),
        ("FakeData", "has no files, and so no pictures"),
        ("EMNIST", "has no split called train or trainval"),
    ]:
        with pytest.raises(DatasetError, match=message):
            load_pictures(f"torchvision:{name}", GREY, tmp_path)


def test_without_torchvision_that_is_told(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(DatasetError, match=r"needs torchvision, which cannot be imported: .*pip install"):
        load_pictures("torchvision:SVHN", GREY, tmp_path)
