"""Data sets as folders of image files: written, read back, evaluated."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from digits import write_idx
from PIL import Image
from virtual import network_of_kind

from host_train.cli import main
from host_train.data import DATASETS, Split
from host_train.evaluation.folder import read_folder, write_folder
from host_train.evaluation.labels import label_of_class
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import ArgumentError, DatasetError, ImageError
from pynq_cnn.model import InputSpec, save_package

ROOT = Path(__file__).parents[2]
GREY = InputSpec(28, 28, 1, "L", (0.1307,), (0.3081,), fit="digit", invert="auto")
PLAIN = InputSpec(28, 28, 1, "L", (0.1307,), (0.3081,))
DIGITS = tuple("0123456789")


@pytest.fixture(scope="module")
def real() -> Split:
    """The 500 real digits that are shipped."""
    with np.load(ROOT / "pynq_cnn" / "samples" / "mnist.npz", allow_pickle=False) as sample:
        return Split(sample["images"][..., None], sample["labels"].astype(np.int64))


@pytest.fixture(scope="module")
def real_folder(real, tmp_path_factory) -> Path:
    """They, as idx files."""
    part = {"images": real.images[..., 0], "labels": real.labels.astype(np.uint8)}
    arrays = {f"{split}_{name}": array for split in ("train", "test") for name, array in part.items()}
    return write_idx(tmp_path_factory.mktemp("real"), arrays)


def test_real_digits_come_back_byte_for_byte(real, tmp_path):
    write_folder(real, DIGITS, tmp_path / "out")
    assert (tmp_path / "out" / f"00042_{real.labels[42]}.png").is_file() and len(
        list((tmp_path / "out").iterdir())
    ) == 500
    back = read_folder(tmp_path / "out", GREY, DIGITS).split
    assert (
        np.array_equal(back.images, real.images)
        and np.array_equal(back.labels, real.labels)
        and back.labels.dtype == np.int64
    )


@pytest.mark.parametrize("name", ["fashion_mnist", "cifar10"])
def test_colour_and_names_of_classes_come_back(name, tmp_path):
    spec = DATASETS[name].spec
    labels = np.arange(30) % 10
    split = Split(np.random.default_rng(0).integers(0, 256, (30, *spec.shape), np.uint8), labels)
    write_folder(split, spec.classes, tmp_path)
    color = {1: "L", 3: "RGB"}[spec.shape[2]]
    back = read_folder(tmp_path, InputSpec(*spec.shape, color, spec.mean, spec.std), spec.classes).split
    assert np.array_equal(back.images, split.images) and np.array_equal(back.labels, labels)


def test_pictures_of_any_kind_are_fitted_and_the_case_of_labels_does_not_matter(tmp_path):
    Image.new("RGB", (90, 60), (255, 0, 0)).save(tmp_path / "my_holiday_Cat.JPEG")
    Image.new("L", (32, 32), 9).save(tmp_path / "x_ANKLE BOOT.bmp")
    (tmp_path / "notes_cat.txt").write_text("not an image")
    (tmp_path / ".hidden_cat.png").write_text("nor this")
    (tmp_path / "folder_cat.png").mkdir()
    split = read_folder(tmp_path, InputSpec(32, 32, 3, "BGR", (0.5,) * 3, (0.5,) * 3), ("Ankle boot", "cat")).split
    assert split.labels.tolist() == [1, 0] and split.images.shape == (2, 32, 32, 3)
    assert split.images[0, 16, 16, 2] > 250 and (split.images[1] == 9).all()


def test_all_pictures_that_cannot_be_read_are_listed(tmp_path):
    """Links that lead nowhere too, which are no files and yet are no folders either."""
    for label in DIGITS:
        (tmp_path / label).mkdir()
        Image.new("L", (28, 28), 9 * int(label)).save(tmp_path / label / "good.png")
    (tmp_path / "3" / "text.png").write_text("no picture")
    with pytest.raises(ImageError, match=r"3/text\.png"):
        read_folder(tmp_path, PLAIN, DIGITS)
    (tmp_path / "4" / "dangling.jpg").symlink_to(tmp_path / "nowhere.jpg")
    with pytest.raises(ImageError, match="2 of 12 pictures cannot be read; repair or remove them") as told:
        read_folder(tmp_path, PLAIN, DIGITS)
    assert "3/text.png" in str(told.value) and "4/dangling.jpg" in str(told.value)


def test_letters_may_be_composed_or_not(tmp_path):
    """Some programs write the dots of an umlaut as a letter of their own."""
    Image.fromarray(np.pad(np.full((20, 3), 255, np.uint8), ((4, 4), (12, 13)))).save(
        tmp_path / unicodedata.normalize("NFD", "00001_Käse.png")
    )
    assert read_folder(tmp_path, GREY, ("cat", "Käse")).split.labels.tolist() == [1]


@pytest.mark.parametrize("name", ["cat.png", "00042.png", "00042_dog.png", "cat_0001.png", "00042_.png", "_0.png"])
def test_a_name_without_a_label_is_named(tmp_path, name):
    Image.new("L", (28, 28)).save(tmp_path / "00000_cat.png")
    Image.new("L", (28, 28)).save(tmp_path / name)
    with pytest.raises(
        DatasetError, match=rf"/{name} carries no label: .* one of cat, ankle-boot, .*00042_cat\.png.*1 of 2"
    ):
        read_folder(tmp_path, GREY, ("cat", "Ankle boot"))


# ------------------------------------------------------------------------------------------------ where labels are

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


def test_wrong_images_of_a_data_set_are_listed_by_their_numbers(real, real_folder, tmp_path, capsys):
    pytest.importorskip("torch")
    wrong = tmp_path / "wrong.csv"
    assert main(["evaluate", "lenet", "--data-dir", str(real_folder), "--wrong", str(wrong), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    with wrong.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 500 - round(500 * told["top1"]) > 0
    assert all(row["label"] == str(real.labels[int(row["image"])]) != row["answer"] for row in rows)


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DatasetError, match="nowhere is no folder"):
        read_folder(tmp_path / "nowhere", GREY, DIGITS)
    with pytest.raises(DatasetError, match="has no images"):
        read_folder(tmp_path, GREY, DIGITS)
    (tmp_path / "00000_3.png").write_bytes(b"broken")
    with pytest.raises(ImageError, match="00000_3.png"):
        read_folder(tmp_path, GREY, DIGITS)


def test_classes_that_names_cannot_tell_apart_are_refused(real, tmp_path):
    assert label_of_class("--A  b--") == "a-b"
    for classes in (("A b", "a-b"), ("a", "?")):
        with pytest.raises(ArgumentError, match="cannot be told apart"):
            write_folder(real, classes, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_writes_what_is_asked_for(digits_folder, digits, tmp_path, capsys):
    data = ["--data-dir", str(digits_folder)]
    assert main(["images", "mnist", str(tmp_path / "a"), "--count", "7", *data]) == 0
    assert "7 test images of MNIST" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [f"{i:05}_{i}.png" for i in range(7)]
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a" / "00003_3.png")), digits["test_images"][3])
    assert main(["images", "mnist", str(tmp_path / "b"), "--split", "train", *data]) == 0
    assert len(list((tmp_path / "b").iterdir())) == 700
    for arguments, message in [
        ([str(tmp_path / "a")], "is not empty; choose another folder"),
        ([str(tmp_path / "c"), "--count", "0"], "--count must be from 1 to the 120 images"),
        ([str(tmp_path / "c"), "--count", "121"], "not 121"),
        ([str(tmp_path / "a" / "00003_3.png")], "cannot be written"),
    ]:
        assert main(["images", "mnist", *arguments, *data]) == 1
        assert message in capsys.readouterr().err


def test_what_is_interrupted_leaves_no_part_of_a_set(real, tmp_path, monkeypatch):
    saved, save, failures = [], Image.Image.save, [OSError(28, "No space left on device"), KeyboardInterrupt()]

    def interrupted(self, path, *arguments):
        save(self, path, *arguments)
        saved.append(path)
        if len(saved) == 3:
            raise failures.pop()

    monkeypatch.setattr(Image.Image, "save", interrupted)
    for raised in (KeyboardInterrupt, DatasetError):
        saved.clear()
        with pytest.raises(raised):
            write_folder(real, DIGITS, tmp_path / "out")
        assert len(saved) == 3 and not list((tmp_path / "out").iterdir())
    monkeypatch.undo()
    write_folder(real[:4], DIGITS, tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_the_command_needs_no_torch(digits_folder, tmp_path):
    script = (
        "import sys; sys.modules['torch'] = None\nfrom host_train.cli import main\nassert main(['images', 'mnist',"
        f" {str(tmp_path / 'o')!r}, '--count', '2', '--data-dir', {str(digits_folder)!r}]) == 0\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.returncode == 0, done.stderr


def test_a_package_is_measured_on_files_as_on_the_data_set(real_folder, tmp_path, capsys):
    pytest.importorskip("torch")
    out = str(tmp_path / "files")
    assert main(["images", "mnist", out, "--data-dir", str(real_folder)]) == 0
    capsys.readouterr()
    assert main(["evaluate", "lenet", "--images", out, "--json"]) == 0
    files = json.loads(capsys.readouterr().out)
    assert main(["evaluate", "lenet", "--data-dir", str(real_folder), "--json"]) == 0
    arrays = json.loads(capsys.readouterr().out)
    assert files["folder"] == out and files["images"] == 500
    assert all(files[name] == arrays[name] for name in ("top1", "top5", "loss", "per_class", "confusion"))
    assert main(["evaluate", "lenet", "--images", out, "--plot", str(tmp_path / "c.png")]) == 0
    assert f"lenet, integers, images in {out}" in capsys.readouterr().out and (tmp_path / "c.png").exists()
    assert main(["evaluate", "lenet", "--images", out, "--split", "train"]) == 1
    assert "remove --split and --dataset" in capsys.readouterr().err


def test_a_network_of_one_probability_is_measured_on_files_of_two_classes(real, tmp_path, capsys):
    pytest.importorskip("torch")
    network = network_of_kind("sigmoid")
    save_package(network, tmp_path / "n")
    labels = (real.labels == 0).astype(np.int64)
    for i in range(0, 500, 5):
        place = tmp_path / "images" / network.classes[labels[i]]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(real.images[i, :, :, 0]).save(place / f"{i}.png")
    command = ["evaluate", str(tmp_path / "n"), "--images", str(tmp_path / "images"), "--json"]
    assert main([*command, "--wrong", str(tmp_path / "wrong.csv"), "--plot", str(tmp_path / "confusion.png")]) == 0
    answers = network.answers(network.logits(ReferenceBackend(network).run(real.images[::5])))
    assert json.loads(capsys.readouterr().out)["top1"] == (answers == labels[::5]).mean() and set(answers.tolist()) == {
        0,
        1,
    }
    save_package(network_of_kind("independent"), tmp_path / "tags")
    assert main(["evaluate", str(tmp_path / "tags"), "--dataset", "mnist"]) == 1
    assert "lenet gives independent probabilities, not one class for each image" in capsys.readouterr().err


def test_a_run_is_measured_on_files_too(real_folder, tmp_path, capsys):
    pytest.importorskip("torch")
    out, run, data = str(tmp_path / "files"), str(tmp_path / "run"), ["--data-dir", str(real_folder)]
    assert main(["images", "mnist", out, *data]) == 0
    assert (
        main(["train", "lenet", "--out", run, "--epochs", "1", "--batch", "32", "--qat-epochs", "0", "--quiet", *data])
        == 0
    )
    capsys.readouterr()
    assert main(["evaluate", run, "--images", out, "--json", *data]) == 0
    files = json.loads(capsys.readouterr().out)
    assert main(["evaluate", run, "--json", *data]) == 0
    arrays = json.loads(capsys.readouterr().out)
    assert files["model"] == "lenet, float32" and files["confusion"] == arrays["confusion"]
