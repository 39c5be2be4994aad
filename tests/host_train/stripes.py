"""Pictures of stripes and dots, in a folder for each class."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from pynq_cnn.model import InputSpec

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
