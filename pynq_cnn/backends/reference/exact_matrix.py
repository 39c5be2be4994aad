"""Exact integer products at the speed of a BLAS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PARTS = 8


@dataclass(frozen=True, eq=False)
class ExactMatrix:
    """Weights in floating point, for exact integer products at the speed of a BLAS.

    Floating point adds integers exactly, in any order, while every partial sum stays below 2^24 (float32) or 2^53
    (float64). Where the weights' own bound is beyond 2^24, the sum is taken in a few parts that are below it: float64
    would take twice as long.

    Parameters
    ----------
    parts : tuple of numpy.ndarray
        [k_i, out] of one kind of float; the k_i are those of the inputs, divided.
    """

    parts: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, weight: np.ndarray) -> ExactMatrix:
        """For inputs of magnitude up to 255, from int8 [out, ...], flattened behind the first."""
        rows = weight.reshape(len(weight), -1)
        for count in range(1, PARTS + 1):
            parts = np.array_split(rows, count, axis=1)
            if all(255 * int(np.abs(part).sum(1, dtype=np.int64).max(initial=0)) < 2**24 for part in parts):
                return cls(tuple(np.ascontiguousarray(part.T, np.float32) for part in parts))
        return cls((np.ascontiguousarray(rows.T, np.float64),))

    def product(self, inputs: np.ndarray) -> np.ndarray:
        """int32 [n, out] of integers [n, k].

        Examples
        --------
        >>> ExactMatrix.of(np.array([[3, -4]], np.int8)).product(np.array([[1, 2]], np.uint8)).tolist()
        [[-5]]
        """
        values, start, total = inputs.astype(self.parts[0].dtype), 0, None
        for part in self.parts:
            product = (values[:, start : start + len(part)] @ part).astype(np.int32)
            total = product if total is None else total + product
            start += len(part)
        assert total is not None
        return total
