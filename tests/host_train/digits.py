"""Small data sets that look like the real ones."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np

from host_train.data.idx import FILES
from pynq_cnn.model import InputSpec

TRAIN, TEST = 700, 120
DIGITS = tuple("0123456789")
PLAIN = InputSpec(28, 28, 1, "L", (0.1307,), (0.3081,))
# Options of a training of lenet on them that takes seconds.
QUICK = ("--epochs", "3", "--batch", "32", "--qat-epochs", "2", "--seed", "4", "--device", "cpu")


def digit_arrays(seed: int = 0) -> dict[str, np.ndarray]:
    """Ten classes of noisy 28 x 28 patterns that a small network can learn, in MNIST's shapes."""
    generator = np.random.default_rng(seed)
    patterns = np.kron(generator.integers(0, 2, (10, 7, 7)), np.ones((4, 4))) * 200
    arrays = {}
    for part, count in (("train", TRAIN), ("test", TEST)):
        labels = np.arange(count) % 10
        images = patterns[labels] + generator.normal(0, 40, (count, 28, 28))
        arrays[f"{part}_images"] = np.clip(images, 0, 255).astype(np.uint8)
        arrays[f"{part}_labels"] = labels.astype(np.uint8)
    return arrays


def idx_bytes(array: np.ndarray) -> bytes:
    """An idx file of unsigned bytes."""
    return (
        bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.astype(np.uint8).tobytes()
    )


def write_idx(folder: Path, arrays: dict[str, np.ndarray], gzipped: bool = False) -> Path:
    """The four idx files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (file, _) in FILES.items():
        data = idx_bytes(arrays[name])
        (folder / (file + ".gz" * gzipped)).write_bytes(gzip.compress(data) if gzipped else data)
    return folder
