"""Weights kept as quantised coefficients of their kernels' 2-D Fourier transform.

Decoding is arithmetic of whole numbers alone (docs/contract/model-package.md, "Weights in frequency"), so that every
machine gets the same int8, whatever its processor's floating point and its version of NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from math import isqrt, prod

import numpy as np

from pynq_cnn.errors import NetworkError
from pynq_cnn.model.datatype import INT8, UINT8
from pynq_cnn.model.description import Description, integers

DIGITS = 64  # of fraction, on the way to the basis
BASIS_BITS = 14  # of fraction, of a basis function's values
STEP_BITS = 4  # of fraction, of the step
MAX_COEFFICIENTS = 1024  # of a kernel
MAX_STEP = 65535
MAX_WEIGHTS = 1 << 28
MAX_BITS = 8
BLOCK = 1 << 16  # kernels' values that are worked on at once


def places(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flat indices of the FFT's coefficients that are their own conjugate, of one of each other pair, and of its
    partner.
    """
    u, v = np.indices((height, width))
    own = (u * width + v).ravel()
    partner = ((-u % height) * width + (-v % width)).ravel()
    return own[own == partner], own[own < partner], partner[own < partner]


def _turns(count: int) -> tuple[list[int], list[int]]:
    """Cosine and sine of 0, 1, ... `count` - 1 parts of a whole turn in units of 2^-`DIGITS`, by whole numbers alone.

    Their errors are below 2^-50.
    """
    one = 1 << DIGITS

    def arc(slope: int) -> int:
        """The angle whose tangent is 1 / slope."""
        total, term, k = 0, one // slope, 0
        while term:
            total += term // (2 * k + 1) * (-1) ** k
            term, k = term // (slope * slope), k + 1
        return total

    def series(term: int, square: int, k: int) -> int:
        """term - term * square / ((k + 1) (k + 2)) + ..."""
        total, sign = 0, 1
        while term:
            total += sign * term
            term, k, sign = (term * square >> DIGITS) // ((k + 1) * (k + 2)), k + 2, -sign
        return total

    turn = 2 * (16 * arc(5) - 4 * arc(239))  # Machin's pi
    angles = [turn * m // count for m in range(count)]
    squares = [angle * angle >> DIGITS for angle in angles]
    cosines = [series(one, square, 0) for square in squares]
    return cosines, [series(angle, square, 1) for angle, square in zip(angles, squares)]


@cache
def basis(height: int, width: int) -> np.ndarray:
    """The orthonormal real basis of planes of height x width, in units of 2^-`BASIS_BITS`, rounded.

    Real coefficients come in the order of `places`: those that are their own conjugate, the real parts of one of each
    other pair times sqrt(2), and its imaginary parts times sqrt(2).

    Returns
    -------
    numpy.ndarray
        float64 of whole numbers, [height * width, height * width], read-only: coefficient x place.

    Examples
    --------
    >>> basis(1, 3).tolist()
    [[9459.0, 9459.0, 9459.0], [13377.0, -6689.0, -6689.0], [0.0, -11585.0, 11585.0]]
    """
    count = height * width
    cosines, sines = _turns(count)
    single, pairs, _ = places(height, width)
    y, x = (side.ravel() for side in np.indices((height, width)))

    def rows(chosen: np.ndarray, turns: list[int], square: int) -> np.ndarray:
        """Of frequencies, each value `turns` times the root of square / count."""
        root = isqrt((square << (2 * DIGITS)) // count)
        shift = 2 * DIGITS - BASIS_BITS
        rounded = np.array([(turn * root + (1 << (shift - 1))) >> shift for turn in turns], np.float64)
        u, v = chosen // width, chosen % width
        # u y / height + v x / width of a turn, in parts of which there are `count`
        return rounded[(u[:, None] * y * width + v[:, None] * x * height) % count]

    table = np.concatenate(
        [rows(single, cosines, 1), rows(pairs, cosines, 2), rows(pairs, [-sine for sine in sines], 2)]
    )
    table.flags.writeable = False
    return table


@dataclass(frozen=True, eq=False, repr=False)
class FrequencyWeight(Description):
    """Weights as levels of the coefficients of their kernels, each level `step` / 16 apart.

    A weight is `(sum of level * step * basis + 2^17) >> 18`, clamped to [-127, 127].

    Parameters
    ----------
    levels : numpy.ndarray
        int8 [coefficients, kernels]. A coefficient of b bits has levels from -(2^(b-1) - 1) to 2^(b-1) - 1.
    allocation : numpy.ndarray
        uint8 [coefficients]: bits of each, 2 to 8; or 0, whose levels are all 0 and are not stored.
    step : int
        1 to 65535.
    shape : tuple of int
        Of the weights: [out, kernel_h, kernel_w, in], or [out, in] in HWC order.
    kernel : tuple of int
        (height, width) of what is transformed: the kernel, or of a fully connected layer the map that its inputs are.
        (1, 1) is quantisation of the weights themselves.

    Raises
    ------
    NetworkError
        If these do not go together.

    Examples
    --------
    >>> levels = np.array([[3, -1], [1, 0], [0, 0], [0, 2]], np.int8)
    >>> weight = FrequencyWeight(levels, np.array([3, 2, 0, 3], np.uint8), 160, (2, 2, 2, 1), (2, 2))
    >>> weight.dense()[..., 0].tolist()
    [[[20, 10], [20, 10]], [[5, -15], [-15, 5]]]
    """

    levels: np.ndarray
    allocation: np.ndarray
    step: int
    shape: tuple[int, ...]
    kernel: tuple[int, int]

    def __post_init__(self) -> None:
        sides = self.shape if isinstance(self.shape, (tuple, list)) else (self.shape,)
        if len(sides) not in (2, 4):
            raise NetworkError(f"the shape of weights in frequency must have 2 or 4 sides, not {len(sides)}")
        object.__setattr__(
            self, "shape", integers("the shape of weights in frequency", sides, len(sides), 1, MAX_WEIGHTS)
        )
        object.__setattr__(self, "kernel", integers("frequency.kernel", self.kernel, 2, 1, MAX_COEFFICIENTS))
        object.__setattr__(self, "step", integers("frequency.step", self.step, 1, 1, MAX_STEP)[0])
        count, size = prod(self.kernel), prod(self.shape)
        if count > MAX_COEFFICIENTS or size > MAX_WEIGHTS or (size // self.shape[0]) % count:
            raise NetworkError(
                f"kernels of {self.kernel} do not divide weights of {self.shape}, or are more than {MAX_COEFFICIENTS}"
            )
        if count > 1 and len(self.shape) == 4 and self.kernel != self.shape[1:3]:
            raise NetworkError(f"a convolution of {self.shape} has kernels of {self.shape[1:3]}, not {self.kernel}")
        allocation = self._freeze("allocation", UINT8, (count,))
        levels = self._freeze("levels", INT8, (count, size // count))
        bad = [int(bits) for bits in np.unique(allocation) if bits == 1 or bits > MAX_BITS]
        if bad:
            raise NetworkError(f"a coefficient has 0 or from 2 to {MAX_BITS} bits, not {bad[0]}")
        if (np.abs(levels.astype(np.int16)).max(1) > most_level(allocation)).any():
            raise NetworkError("the levels of a coefficient are beyond what its bits hold")

    def dense(self) -> np.ndarray:
        """The weights, int8 of `shape`: one read-only array, however often it is asked for."""
        return self._dense

    @cached_property
    def _dense(self) -> np.ndarray:
        count, kernels = self.levels.shape
        table, shift = basis(*self.kernel), BASIS_BITS + STEP_BITS
        weights = np.empty((kernels, count), np.int8)
        some = max(1, BLOCK // count)
        for start in range(0, kernels, some):
            part = self.levels[:, start : start + some].T.astype(np.float64) * self.step
            # Sums of whole numbers below 2^53: float64 has them exactly, in whatever order they are taken.
            sums = (part @ table).astype(np.int64)
            weights[start : start + some] = np.clip((sums + (1 << (shift - 1))) >> shift, INT8.min, INT8.max)
        planes = weights.reshape(self.shape[0], -1, count)  # out x in x places
        dense = np.ascontiguousarray(planes.transpose(0, 2, 1)).reshape(self.shape)
        dense.flags.writeable = False
        return dense


def most_level(bits: np.ndarray) -> np.ndarray:
    """The largest level that so many bits hold.

    Examples
    --------
    >>> most_level(np.array([0, 2, 3, 8], np.uint8)).tolist()
    [0, 1, 3, 127]
    """
    return np.where(bits == 0, 0, (1 << np.maximum(bits.astype(np.int64) - 1, 0)) - 1)
