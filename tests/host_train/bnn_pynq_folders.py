"""Parameter folders as BNN-PYNQ has them, of random networks, and what these give, computed from the layout alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass
class Layer:
    """Bits [rows, columns] and thresholds [rows], and how they are spread: SIMD and PE."""

    rows: int
    columns: int
    simd: int
    pe: int
    bits: np.ndarray = field(init=False)
    thresholds: np.ndarray = field(init=False)


# Kernel, channels of input and output, SIMD, PE; columns are those of a row, padded.
CNV_SHAPES = (
    (64, 27, 3, 16),
    (64, 576, 32, 32),
    (128, 576, 32, 16),
    (128, 1152, 32, 16),
    (256, 1152, 32, 4),
    (256, 2304, 32, 1),
    (512, 256, 4, 1),
    (512, 512, 8, 1),
    (64, 512, 1, 4),
)
LFC_SHAPES = ((1024, 832, 64, 32), (1024, 1024, 32, 64), (1024, 1024, 64, 32), (64, 1024, 8, 16))


def random_layers(shapes: tuple[tuple[int, ...], ...], classes: int, seed: int = 0) -> list[Layer]:
    """Layers with thresholds near the middle of the counts, so that both bits are there."""
    rng = np.random.default_rng(seed)
    layers = [Layer(*shape) for shape in shapes]
    for layer in layers:
        layer.bits = rng.integers(0, 2, (layer.rows, layer.columns)).astype(np.uint8)
        layer.thresholds = layer.columns // 2 + rng.integers(-9, 10, layer.rows)
    layers[-1].bits[classes:] = 1  # rows that fill up
    layers[-1].thresholds[classes:] = 32767
    if shapes is CNV_SHAPES:
        layers[0].thresholds = rng.integers(-2000, 2000, layers[0].rows)  # in 1 / 256
    return layers


def write_layers(folder: Path, layers: list[Layer], classes: list[str], thresholds_of_last: bool) -> Path:
    """One number after the other, as the documentation of the format tells it."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, layer in enumerate(layers):
        pieces = np.zeros(
            (layer.rows, layer.columns // layer.simd, 64), np.uint8
        )  # a word each, its first weight lowest
        pieces[..., : layer.simd] = layer.bits.reshape(layer.rows, -1, layer.simd)
        words = np.packbits(pieces, axis=-1, bitorder="little")
        for element in range(layer.pe):
            (folder / f"{number}-{element}-weights.bin").write_bytes(words[element :: layer.pe].tobytes())
            if number < len(layers) - 1 or thresholds_of_last:
                mine = layer.thresholds[element :: layer.pe].tolist()
                file = folder / f"{number}-{element}-thres.bin"
                file.write_bytes(b"".join(value.to_bytes(8, "little", signed=True) for value in mine))
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")
    return folder


def windows(image: np.ndarray) -> np.ndarray:
    """[height - 2, width - 2, 9 * channels] of [height, width, channels], by kernel row, kernel column, channel."""
    height, width, _ = image.shape
    return np.concatenate([image[i : height - 2 + i, j : width - 2 + j] for i in range(3) for j in range(3)], axis=-1)


def agreeing(inputs: np.ndarray, layer: Layer) -> np.ndarray:
    """Columns in which the bits of input [..., columns] and weight are the same, [..., rows]."""
    both = inputs.astype(np.float64) @ layer.bits.T.astype(np.float64)
    neither = (1 - inputs).astype(np.float64) @ (1 - layer.bits).T.astype(np.float64)
    return (both + neither).astype(np.int64)


def pooled(bits: np.ndarray) -> np.ndarray:
    """Whether one of 2 x 2 pixels is 1."""
    height, width, channels = bits.shape
    return bits.reshape(height // 2, 2, width // 2, 2, channels).max((1, 3))


def cnv_counts(layers: list[Layer], image: np.ndarray) -> np.ndarray:
    """Counts of the last layer for an image uint8 [32, 32, 3]."""
    steps = np.clip(np.floor(128 * (2.0 * image / 255 - 1) + 0.5), -128, 127)  # of 1 / 128
    sums = windows(steps) @ (2.0 * layers[0].bits - 1).T
    bits = (sums / 128 > layers[0].thresholds / 256).astype(np.uint8)
    for number in range(1, 6):
        bits = (agreeing(windows(bits), layers[number]) > layers[number].thresholds).astype(np.uint8)
        if number in (1, 3):
            bits = pooled(bits)
    bits = bits.ravel()
    for layer in layers[6:8]:
        bits = (agreeing(bits, layer) > layer.thresholds).astype(np.uint8)
    return agreeing(bits, layers[8])


def lfc_margins(layers: list[Layer], image: np.ndarray) -> np.ndarray:
    """Counts of the last layer, less its thresholds, for an image uint8 [28, 28]."""
    light = (2.0 * image.ravel() / 255 - 1 >= 0).astype(np.uint8)
    bits = np.concatenate([light, np.zeros(832 - 784, np.uint8)])
    for layer in layers[:3]:
        bits = (agreeing(bits, layer) > layer.thresholds).astype(np.uint8)
    return agreeing(bits, layers[3]) - layers[3].thresholds
