"""Folders of pictures of one's own: how they may lie, how they are divided, what is wrong with them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stripes import GREY, KINDS, picture, write

from host_train.data.dataset import Dataset
from host_train.data.pictures import load_folder
from host_train.runs.run import Run
from host_train.settings import Settings
from pynq_cnn.errors import DatasetError, ImageError


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
