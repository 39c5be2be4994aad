"""Data sets in every format: read, and written again."""

from __future__ import annotations

import gzip
import shutil
import tarfile

import numpy as np
import pytest
from data_files import cifar_arrays, cifar_pickles, write_sheets
from digits import write_idx

from host_train.data import load_dataset
from host_train.data.dataset import ARRAY_NAMES


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("below", ["", "MNIST/raw"])
def test_idx_files_are_read(tmp_path, digits, gzipped, below):
    write_idx(tmp_path / below, digits, gzipped)
    dataset = load_dataset("mnist", tmp_path)
    assert dataset.train.images.shape == (700, 28, 28, 1) and dataset.train.images.dtype == np.uint8
    assert dataset.test.labels.shape == (120,) and dataset.test.labels.dtype == np.int64
    assert np.array_equal(dataset.train.images[..., 0], digits["train_images"])
    assert np.array_equal(dataset.test.labels, digits["test_labels"])
    assert not dataset.original


def test_gzip_is_told_by_content_not_by_name(tmp_path, digits):
    write_idx(tmp_path, digits)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert np.array_equal(load_dataset("mnist", tmp_path).train.images[..., 0], digits["train_images"])


def test_fashion_mnist_reads_the_same_files(digits_folder):
    assert load_dataset("fashion_mnist", digits_folder).spec.classes[9] == "Ankle boot"


@pytest.mark.parametrize("keras", [False, True])
def test_npz_is_read(tmp_path, digits, keras):
    names = ("x_train", "y_train", "x_test", "y_test") if keras else ARRAY_NAMES
    np.savez(tmp_path / "mnist.npz", **{name: digits[ours] for name, ours in zip(names, ARRAY_NAMES)})
    assert np.array_equal(load_dataset("mnist", tmp_path).test.images[..., 0], digits["test_images"])


def test_cifar_pickles_of_old_numpy_and_python_2_are_read(tmp_path):
    """The published files name numpy.core, which newer NumPys call numpy._core, and their strings are Python 2's."""
    arrays = cifar_arrays()
    for name, content in cifar_pickles(arrays).items():
        (tmp_path / name).write_bytes(content.replace(b"numpy._core.", b"numpy.core."))
    assert np.array_equal(load_dataset("cifar10", tmp_path).train.images, arrays["train_images"])


@pytest.mark.parametrize("how", ["files", "folder", "archive"])
def test_cifar_pickles_are_read(tmp_path, how):
    arrays = cifar_arrays()
    place = tmp_path if how == "files" else tmp_path / "cifar-10-batches-py"
    place.mkdir(exist_ok=True)
    for name, content in cifar_pickles(arrays).items():
        (place / name).write_bytes(content)
    if how == "archive":
        with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
            archive.add(place, place.name)
        shutil.rmtree(place)
    dataset = load_dataset("cifar10", tmp_path)
    assert np.array_equal(dataset.train.images, arrays["train_images"]) and np.array_equal(
        dataset.test.labels, arrays["test_labels"]
    )


def test_cifar_sheets_are_read(tmp_path):
    arrays = cifar_arrays()
    write_sheets(tmp_path, arrays)
    dataset = load_dataset("cifar10", tmp_path)
    assert np.array_equal(dataset.train.images, arrays["train_images"]) and np.array_equal(
        dataset.train.labels, arrays["train_labels"]
    )
