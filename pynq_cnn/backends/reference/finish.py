"""Accumulators to bytes, to bits, or left as they are (docs/contract/numerics.md, sections 3 and 6)."""

from __future__ import annotations

import numpy as np

from pynq_cnn.model import Requantisation, Skip, Threshold


def add_skip(acc: np.ndarray, skip: Skip | None, skipped: tuple[np.ndarray, ...]) -> np.ndarray:
    """int32 accumulators [..., out] with a residual, uint8 of the same shape, added (section 2)."""
    return acc if skip is None else acc + skipped[0] * skip.multiplier.astype(np.int32)


def requantise(acc: np.ndarray, constants: Requantisation) -> np.ndarray:
    """uint8 of int32 accumulators [..., out] (section 3).

    Examples
    --------
    >>> half = Requantisation(np.array([1], np.uint16), np.array([1], np.uint8))
    >>> requantise(np.array([[-1], [1], [2], [3], [999]], np.int32), half).ravel()
    array([  0,   1,   1,   2, 255], dtype=uint8)
    """
    shift = constants.shift.astype(np.int64)
    rounded: np.ndarray = acc * constants.multiplier.astype(np.int64)
    rounded += np.int64(1) << (shift - 1)  # in place: most of the time goes into memory
    rounded >>= shift
    rounded += constants.zero_point
    return np.clip(rounded, constants.low, 255, out=rounded).astype(np.uint8)


def finish(acc: np.ndarray, requantisation: Requantisation | None, threshold: Threshold | None) -> np.ndarray:
    """Accumulators [..., out] as bytes (section 3), as bits (section 6), or as they are."""
    if threshold is not None:
        return (acc >= threshold.value).astype(np.uint8)
    return acc if requantisation is None else requantise(acc, requantisation)
