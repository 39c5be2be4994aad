"""Where the labels of image files are: in their names or in their folders, and what is doubted."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from digits import DIGITS, PLAIN
from PIL import Image

from host_train.cli import main
from host_train.evaluation.folder import read_folder, write_folder
from host_train.evaluation.labels import label_of_class
from pynq_cnn.errors import ArgumentError, DatasetError

# The first ten images of MNIST's test set, as the study of binary networks names them: the label, then the number of
# the image.
FIRST_TEN = (7, 2, 1, 0, 4, 1, 4, 9, 5, 9)


def make(folder: Path, names: Iterable[str]) -> Path:
    """Pictures of these names; each has a grey of its own."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.linear_gradient("L").resize((28, 28)).point(lambda value, number=number: max(value, number % 100)).save(
            path
        )
    return folder


def read(folder: Path, classes: Sequence[str] = DIGITS, naming: str = "auto") -> tuple[str, dict[str, int]]:
    found = read_folder(folder, PLAIN, classes, naming)
    assert len(found.files) == len(found.split) == len(found.split.labels)
    return found.naming, {
        path.relative_to(folder).as_posix(): int(label) for path, label in zip(found.files, found.split.labels)
    }


@pytest.mark.parametrize("suffix", ["png", "bmp"])
@pytest.mark.parametrize("start", [0, 1])
def test_labels_before_and_behind_are_told_apart_where_both_could_be(tmp_path, start, suffix):
    """The numbers of ten images are labels too; what repeats itself counts nothing."""
    numbered = list(enumerate(FIRST_TEN, start))
    if start:
        numbered = numbered[:9]  # so that all numbers are digits
    before = make(tmp_path / "before", [f"{label}_{number}.{suffix}" for number, label in numbered])
    assert read(before) == ("label_index", {f"{label}_{number}.{suffix}": label for number, label in numbered})
    behind = make(tmp_path / "behind", [f"{number}_{label}.{suffix}" for number, label in numbered])
    assert read(behind) == ("index_label", {f"{number}_{label}.{suffix}": label for number, label in numbered})


def test_a_number_that_is_no_label_decides(tmp_path):
    assert read(make(tmp_path / "a", ["3_0.png", "5_11.png", "3_2.png"])) == (
        "label_index",
        {"3_0.png": 3, "3_2.png": 3, "5_11.png": 5},
    )
    assert read(make(tmp_path / "b", ["00003_5.png", "00005_3.png"])) == (
        "index_label",
        {"00003_5.png": 5, "00005_3.png": 3},
    )
    per_class = [f"{label}_{number}.bmp" for label in range(10) for number in range(12)]
    naming, labels = read(make(tmp_path / "c", per_class))
    assert naming == "label_index" and all(name.startswith(f"{label}_") for name, label in labels.items())


@pytest.mark.parametrize(
    "names",
    [
        ["3_5.png"],
        ["3_5.png", "5_3.png"],
        [f"{label}_0.png" for label in range(10)],  # one image of each class, or ten images of zeros
        [f"{number}_{9 - number}.png" for number in range(10)],
        [f"{a}_{b}.png" for a in range(10) for b in range(10)],
        ["7_3.png", "7_5.png", "1_3.png"],  # neither side counts
    ],
)
def test_names_that_can_be_read_in_two_ways_are_refused(tmp_path, names):
    make(tmp_path, names)
    with pytest.raises(
        DatasetError,
        match="may be before or behind the underscore; say which: --naming label_index or --naming index_label",
    ):
        read(tmp_path)
    assert read(tmp_path, naming="label_index")[1] == {name: int(name[0]) for name in names}
    assert read(tmp_path, naming="index_label")[1] == {name: int(name[2]) for name in names}


def test_where_both_sides_say_the_same_it_does_not_matter(tmp_path):
    assert read(make(tmp_path, ["3_3.png", "5_5.png"]))[1] == {"3_3.png": 3, "5_5.png": 5}


def test_classes_have_names_or_numbers(tmp_path):
    classes = ("T-shirt/top", "Ankle boot", "Bag")
    before = {"bag_0.png": 2, "ankle_boot_1.png": 1, "T-Shirt_Top_2.png": 0}
    assert read(make(tmp_path / "a", before), classes) == ("label_index", before)
    behind = {"1_bag.png": 2, "2_ankle_boot.png": 1, "0_t-shirt-top.png": 0}  # whose numbers are those of classes too
    assert read(make(tmp_path / "b", behind), classes) == ("index_label", behind)
    numbers = {"2_00000.bmp": 2, "0_00001.bmp": 0, "1_00002.bmp": 1}
    assert read(make(tmp_path / "c", numbers), classes) == ("label_index", numbers)
    make(tmp_path / "d", ["bag_0.png", "1_1.png"])
    with pytest.raises(DatasetError, match=r"one of t-shirt-top, ankle-boot, bag, or a number from 0 to 2"):
        read(tmp_path / "d", classes)
    with pytest.raises(
        DatasetError, match="carries no label"
    ):  # where a class is called by a number, numbers are names
        read(make(tmp_path / "e", ["0_10.png"]), ("1", "2", "ten"))


def test_folders_by_class_are_read(tmp_path):
    make(tmp_path / "digits", ["7/a.png", "7/below/b.jpg", "0/7_3.bmp", "10 empty/x.txt.png"][:3])
    (tmp_path / "digits" / "notes").mkdir()
    (tmp_path / "digits" / ".hidden").mkdir()
    make(tmp_path / "digits" / "7" / ".hidden", ["c.png"])
    assert read(tmp_path / "digits") == ("folders", {"0/7_3.bmp": 0, "7/a.png": 7, "7/below/b.jpg": 7})
    named = {"Ankle_Boot/1.png": 0, "bag/1.png": 1}
    assert read(make(tmp_path / "named", named), ("Ankle boot", "Bag")) == ("folders", named)
    numbered = {"00000/1.png": 0, "00001/1.png": 1}
    assert read(make(tmp_path / "numbered", numbered), ("Ankle boot", "Bag")) == ("folders", numbered)


def test_folders_that_are_no_classes_are_named(tmp_path):
    make(tmp_path, ["test/7/a.png", "7/b.png"])
    with pytest.raises(
        DatasetError, match=r"test has images, but is no class: 1 of 2 folders are; its name must be one of 0, 1"
    ):
        read(tmp_path)


def test_a_folder_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    """Not by its permissions: root, as whom tests run in containers, reads every folder."""
    make(tmp_path, ["7/a.png", "1/b.png"])
    scan = os.scandir

    def scandir(path):
        if Path(path).name == "1":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(PermissionError, match="1"):
        read(tmp_path)


def test_files_beside_folders_are_told(tmp_path):
    make(tmp_path, ["7/a.png", "00000_3.png"])
    with pytest.raises(
        DatasetError,
        match=r"has images, such as 00000_3.png, and folders of images, such as 7; say which .*--naming folders",
    ):
        read(tmp_path)
    assert read(tmp_path, naming="folders")[1] == {"7/a.png": 7} and read(tmp_path, naming="index_label")[1] == {
        "00000_3.png": 3
    }
    with pytest.raises(
        ArgumentError, match="naming must be one of auto, folders, index_label, label_index, not 'upside'"
    ):
        read(tmp_path, naming="upside")


def test_labels_that_may_be_numbers_of_images_are_doubted(tmp_path):
    make(tmp_path, [f"img_{number}.png" for number in range(10)])
    found = read_folder(tmp_path, PLAIN, DIGITS)
    assert found.split.labels.tolist() == list(range(10))
    assert found.notes == ("each of the labels 0 to 9 is there once, as numbers of images would be",)
    assert read_folder(make(tmp_path / "b", ["a_3.png", "b_3.png", "c_4.png"]), PLAIN, DIGITS).notes == ()


def test_the_command_says_where_it_found_the_labels_and_lists_what_is_wrong(real, tmp_path, capsys):
    pytest.importorskip("torch")
    chosen = [int(np.flatnonzero(real.labels == label)[number]) for number, label in enumerate(FIRST_TEN)]
    folder = tmp_path / "ten"
    folder.mkdir()
    for number, (index, label) in enumerate(zip(chosen, FIRST_TEN)):
        Image.fromarray(real.images[index, :, :, 0]).save(folder / f"{label}_{number}.bmp")
    Image.fromarray(real.images[chosen[0], :, :, 0]).save(folder / "3_10.bmp")  # a 7
    wrong = tmp_path / "lists" / "wrong.csv"
    assert main(["evaluate", "lenet", "--images", str(folder), "--wrong", str(wrong)]) == 0
    text = capsys.readouterr().out
    assert "whose labels are before the underscore (label_index): 0_3.bmp is 0" in text and "(10 of 11)" in text
    assert re.search(r"^[\d.]+ s, [\d.e-]+ ms an image$", text, re.M) and f"1 mistaken images: {wrong}" in text
    with wrong.open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["image", "label", "answer"], [str(folder / "3_10.bmp"), "3", "7"]]
    assert main(["evaluate", "lenet", "--images", str(folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (
        told["naming"] == "label_index"
        and told["top1"] == 10 / 11
        and told["milliseconds_per_image"] == told["seconds"] * 1000 / 11
    )
    assert main(["evaluate", "lenet", "--images", str(folder), "--naming", "index_label"]) == 1
    assert "3_10.bmp carries no label" in capsys.readouterr().err
    assert main(["evaluate", "lenet", "--naming", "folders"]) == 1
    assert "--naming folders is of the files of --images" in capsys.readouterr().err
    assert main(["evaluate", "lenet", "--images", str(folder), "--wrong", str(tmp_path)]) == 1
    assert "is a folder; name a file" in capsys.readouterr().err


def test_classes_that_names_cannot_tell_apart_are_refused(real, tmp_path):
    assert label_of_class("--A  b--") == "a-b"
    for classes in (("A b", "a-b"), ("a", "?")):
        with pytest.raises(ArgumentError, match="cannot be told apart"):
            write_folder(real, classes, tmp_path / "out")
    assert not (tmp_path / "out").exists()
