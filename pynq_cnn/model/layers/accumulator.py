"""Accumulators stay in int32, whatever the input."""

from __future__ import annotations

import numpy as np

from pynq_cnn.errors import NetworkError
from pynq_cnn.model.datatype import INT8, INT32

BLOCK = 1 << 20  # weights that are added up at once: copies of them are wider than they are


def check_accumulator(name: str, weight: np.ndarray, bias: np.ndarray) -> None:
    """Refuse a layer of which some partial sum could leave int32 for some uint8 input (docs/contract/numerics.md,
    section 2).
    """
    rows = weight.reshape(len(weight), -1)
    if 255 * INT8.max * rows.shape[1] + int(np.abs(bias.astype(np.int64)).max()) <= INT32.max:
        return  # whatever the weights are
    low, high = np.minimum(bias.astype(np.int64), 0), np.maximum(bias.astype(np.int64), 0)
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
