"""Accumulators stay in int32, whatever the input."""

from __future__ import annotations

import numpy as np

from pynq_cnn.errors import NetworkError
from pynq_cnn.model.datatype import INT8, INT32, MULTIPLIER
from pynq_cnn.model.layers.skip import Skip

BLOCK = 1 << 20  # weights that are added up at once: copies of them are wider than they are


def check_accumulator(name: str, weight: np.ndarray, bias: np.ndarray, skip: Skip | None = None) -> None:
    """Refuse a layer of which some partial sum could leave int32 for some uint8 inputs (docs/contract/numerics.md,
    section 2).
    """
    rows = weight.reshape(len(weight), -1)
    most = 255 * (INT8.max * rows.shape[1] + MULTIPLIER.max) + int(np.abs(bias.astype(np.int64)).max())
    if most <= INT32.max:
        return  # whatever the weights are
    low, high = np.minimum(bias.astype(np.int64), 0), np.maximum(bias.astype(np.int64), 0)
    if skip is not None:
        high += 255 * skip.multiplier.astype(np.int64)
    step = max(1, BLOCK // rows.shape[1])
    for first in range(0, len(rows), step):
        some = slice(first, first + step)
        for column in range(0, rows.shape[1], BLOCK):
            part = rows[some, column : column + BLOCK]
            positive = np.maximum(part, 0).sum(1, dtype=np.int64)
            high[some] += 255 * positive
            low[some] += 255 * (part.sum(1, dtype=np.int64) - positive)
    bad = np.flatnonzero((high > INT32.max) | (low < INT32.min))
    if bad.size:
        o = int(bad[0])
        raise NetworkError(
            f"{name}: the accumulator of output channel {o} could reach [{low[o]}, {high[o]}] and leave int32; "
            "use smaller weights or bias, or split the layer"
        )
