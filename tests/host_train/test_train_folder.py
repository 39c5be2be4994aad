"""Data sets as folders of image files: written, read back, evaluated."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from digits import DIGITS, PLAIN
from PIL import Image
from virtual import network_of_kind

from host_train.cli import main
from host_train.data import DATASETS, Split
from host_train.evaluation.folder import read_folder, write_folder
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import DatasetError, ImageError
from pynq_cnn.model import InputSpec, save_package

ROOT = Path(__file__).parents[2]
GREY = InputSpec(28, 28, 1, "L", (0.1307,), (0.3081,), fit="digit", invert="auto")


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
