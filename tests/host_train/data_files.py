"""Files of data sets as their publishers write them."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from host_train.data.cifar import BATCHES


def cifar_arrays() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(1)
    parts = {"train": 50, "test": 10}
    images = {f"{part}_images": generator.integers(0, 256, (n, 32, 32, 3), np.uint8) for part, n in parts.items()}
    return images | {f"{part}_labels": np.arange(n) % 10 for part, n in parts.items()}


def cifar_pickles(arrays: dict[str, np.ndarray]) -> dict[str, bytes]:
    images = np.concatenate([arrays["train_images"], arrays["test_images"]]).transpose(0, 3, 1, 2).reshape(60, -1)
    labels = np.concatenate([arrays["train_labels"], arrays["test_labels"]])
    return {
        name: pickle.dumps(
            {"data": images[10 * i : 10 * i + 10], "labels": labels[10 * i : 10 * i + 10].tolist()}, protocol=2
        )
        for i, name in enumerate(BATCHES)
    }


def write_sheets(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    from PIL import Image

    images = np.concatenate([arrays["train_images"], arrays["test_images"]])
    for i, name in enumerate(BATCHES):
        Image.fromarray(images[10 * i : 10 * i + 10].reshape(10, 1024, 3)).save(folder / f"{name}.png")
    for part in ("train", "test"):
        (folder / f"{part}_lables.json").write_text(json.dumps(arrays[f"{part}_labels"].tolist()))


def fake_program(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{script}")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
