"""Layout of constants in memory (docs/contract/instruction-set.md, section 3)."""

from __future__ import annotations

import numpy as np

from pynq_cnn.compiler.hardware import Hardware
from pynq_cnn.model import Conv2d


def ceil_div(a: int, b: int) -> int:
    """a / b rounded up."""
    return -(-a // b)


def pack_weights(weight: np.ndarray, hardware: Hardware) -> np.ndarray:
    """Weight tiles, uint64 [groups * kernel_h * chunks * pe * simd / 8], of int8 [out, kernel_h, kernel_w, in].

    Examples
    --------
    >>> tiles = pack_weights(np.full((1, 1, 1, 1), -1, np.int8), Hardware())
    >>> len(tiles), hex(tiles[0]), bool(tiles[1:].any())
    (32, '0xff', False)
    """
    out, kernel_h, kernel_w, channels = weight.shape
    groups, chunks = ceil_div(out, hardware.pe), ceil_div(kernel_w * channels, hardware.simd)
    padded = np.zeros((groups * hardware.pe, kernel_h, chunks * hardware.simd), np.int8)
    padded[:out, :, : kernel_w * channels] = weight.reshape(out, kernel_h, -1)
    tiles = padded.reshape(groups, hardware.pe, kernel_h, chunks, hardware.simd).transpose(0, 2, 3, 1, 4)
    return np.ascontiguousarray(tiles).reshape(-1).view("<u8")


def pack_parameters(conv: Conv2d, hardware: Hardware) -> np.ndarray:
    """Bias, multiplier and shift of each channel in one word, uint64 [groups * pe]."""
    out = len(conv.weight)
    words = np.zeros(
        ceil_div(out, hardware.pe) * hardware.pe,
        np.dtype([("bias", "<i4"), ("multiplier", "<u2"), ("shift", "u1"), ("zero", "u1")]),
    )
    words["bias"][:out] = conv.bias
    words["shift"] = 1
    if conv.requantisation is not None:
        words["multiplier"][:out] = conv.requantisation.multiplier
        words["shift"][:out] = conv.requantisation.shift
    return words.view("<u8")


def pack_pad(pad_value: np.ndarray, kernel_w: int, hardware: Hardware) -> np.ndarray:
    """Pad vectors, uint64 [chunks * simd / 8]: the window row of a pixel row that lies outside, lane by lane."""
    row = np.tile(pad_value, kernel_w)
    vectors = np.zeros(ceil_div(len(row), hardware.simd) * hardware.simd, np.uint8)
    vectors[: len(row)] = row
    return vectors.view("<u8")
