"""Rules that the files of the kinds share: dispatch, and the sections of numerics.md that several layers quote."""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch
from typing import Any

import numpy as np
from hypothesis import strategies as st

from pynq_cnn.model import Requantisation, TensorType

Values = list  # [height][width][channels] of int


@singledispatch
def naive(layer: Any, given: tuple[TensorType, ...], *values: Values) -> Values:
    """A layer's output for one image, by loops."""
    raise TypeError(f"the loops have no rule for {type(layer).__name__}")


def naive_requantise(acc: int, m: int, s: int, z: int = 0, low: int = 0) -> int:
    """Section 3. Python's >> is arithmetic on numbers of any size."""
    return min(max(((acc * m + (1 << (s - 1))) >> s) + z, low), 255)


def naive_finish(acc: int, layer: Any, channel: int) -> int:
    """Sections 3 and 6: bytes, bits, or the accumulator itself."""
    constants = getattr(layer, "requantisation", None)
    if constants is not None:
        k = channel % len(constants.shift)
        m, s = int(constants.multiplier[k]), int(constants.shift[k])
        return naive_requantise(acc, m, s, constants.zero_point, constants.low)
    threshold = getattr(layer, "threshold", None)
    return acc if threshold is None else int(acc >= int(threshold.value[channel]))


def zero_of(given: TensorType, channel: int) -> int:
    """Section 1: the byte of a padded pixel."""
    return given.zero_point[channel % len(given.zero_point)]


def random_weights(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> np.ndarray:
    """int8 weights: small, over the whole range, only the extremes, or all zero."""
    if kind == "extreme":
        return rng.choice(np.array([-127, 127], np.int8), shape)
    limit = {"zero": 0, "small": 3, "full": 127}[kind]
    return rng.integers(-limit, limit, shape, dtype=np.int8, endpoint=True)


def random_requantisation(rng: np.random.Generator, fan_in: int, outputs: int, kind: str) -> Requantisation:
    """Constants that saturate, that kill, or that spread the accumulators over the bytes."""
    if kind == "saturating":
        return Requantisation(np.full(outputs, 65535, np.uint16), np.full(outputs, 1, np.uint8))
    if kind == "any":
        return Requantisation(
            rng.integers(0, 65535, outputs, dtype=np.uint16, endpoint=True),
            rng.integers(1, 47, outputs, dtype=np.uint8, endpoint=True),
        )
    spread = 127.0 * np.sqrt(fan_in) * rng.uniform(0.3, 3.0, outputs)  # accumulators of this size become about 255
    shift = np.clip(np.floor(np.log2(65535 / (255 / (spread * 60)))), 1, 47).astype(np.uint8)
    return Requantisation(np.clip(np.round(255 / (spread * 60) * 2.0**shift), 0, 65535).astype(np.uint16), shift)


class Drawing:
    """Random constants for a layer."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def integer(self, low: int, high: int) -> int:
        return int(self.draw(st.integers(low, high)))

    def chance(self, one_in: int) -> bool:
        return self.integer(1, one_in) == 1

    def window(self, shape: tuple, most: int = 5, dilation: tuple = (1, 1)) -> tuple[tuple, tuple]:
        """Size and padding (top, left, bottom, right) of a window over an image."""
        size, before, after = [], [], []
        for side, step in zip(shape[:2], dilation):
            taps = self.integer(1, min(most, (side - 1) // step + 1))
            covers = (taps - 1) * step + 1
            size.append(taps)
            before.append(self.integer(0, covers - 1))
            after.append(self.integer(0, covers - 1))
        return tuple(size), (*before, *after)

    def bias(self, outputs: int) -> np.ndarray:
        return self.rng.integers(-(2**20), 2**20, outputs, dtype=np.int32)

    def weights(self, shape: tuple) -> np.ndarray:
        return random_weights(self.rng, shape, self.draw(st.sampled_from(["small", "full", "extreme", "zero"])))

    def requantisation(self, fan_in: int, outputs: int) -> Requantisation:
        """Any constants, with or without ReLU and zero point."""
        zero = self.draw(st.sampled_from([0, 0, 1, 128, 255, self.integer(0, 255)]))
        low = self.draw(st.sampled_from([0, zero]))
        kind = self.draw(st.sampled_from(["spread", "spread", "saturating", "any"]))
        return replace(random_requantisation(self.rng, fan_in, outputs, kind), zero_point=zero, low=low)
