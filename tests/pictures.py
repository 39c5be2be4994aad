"""Small pictures, their specifications and their forms as files, for the tests of images."""

from __future__ import annotations

import dataclasses
import io
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.model import InputSpec, Network

GREY = InputSpec(4, 6, 1, "L", (0.0,), (1.0,))
RGB = InputSpec(4, 6, 3, "RGB", (0.0,) * 3, (1.0,) * 3)
DIGIT = InputSpec(28, 28, 1, "L", (0.1307,), (0.3081,), fit="digit", invert="auto")
RAMP = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
COLOURS = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)


def encoded(picture: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def shades(highest: int) -> np.ndarray:
    """uint16 [4, 6] up to `highest`."""
    return np.linspace(3, highest, 24).round().astype(np.uint16).reshape(4, 6)


WIDE_FORMS = {
    "array": lambda v: v,
    "big-endian array": lambda v: v.astype(">u2"),
    "I;16": lambda v: Image.frombytes("I;16", (6, 4), v.astype("<u2").tobytes()),
    "I": lambda v: Image.fromarray(v.astype(np.int32)),
    "PNG": lambda v: encoded(Image.frombytes("I;16", (6, 4), v.astype("<u2").tobytes())),
}


def enlarged(digit: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(digit).resize((side, side), getattr(Image, "Resampling", Image).BICUBIC))


def part_right(lenet: Network, seen: list[np.ndarray], labels: np.ndarray) -> float:
    logits = lenet.logits(ReferenceBackend(lenet).run(np.stack(seen)))
    return float((logits.argmax(1) == labels).mean())


def close_photos(photos: ModuleType, difficulty: str, sample: np.ndarray) -> list[Image.Image]:
    """Photos that are cut square around the digit, as `--sizes` of the benchmark takes them."""
    rng = np.random.default_rng(0)
    close = dataclasses.replace(photos.DIFFICULTIES[difficulty], size=photos.CLOSE)
    return [
        Image.open(io.BytesIO(photos.photograph(digit, rng, close, photos.SQUARE))).convert("L") for digit in sample
    ]
