"""Encoder and decoder of a layer's weights at a given rate, in space or in frequency."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from host_train.spectrum.allocate import whole_bits
from host_train.spectrum.basis import RealFourier
from pynq_cnn.errors import ArgumentError

CODINGS = ("space, uniform", "frequency, uniform", "frequency, water-filling")
# Of each group's header: mean and step in float32, how many bits; no step where these are 0.
MEAN_BITS, STEP_BITS, COUNT_BITS = (
    32,
    32,
    4,
)
MOST_SEARCHED = 1 << 18


@dataclass(frozen=True, eq=False)
class Group:
    """Coefficients that are quantised alike: mid-rise, `mean + (code - 2^(bits-1) + 0.5) * step`; with 0 bits, the
    mean.

    Parameters
    ----------
    bits : int
        Of each code.
    mean, step : float
        As stored, in float32.
    codes : numpy.ndarray
        uint16 [n], below 2^bits.
    """

    bits: int
    mean: float
    step: float
    codes: np.ndarray

    @classmethod
    def encode(cls, values: np.ndarray, bits: int) -> Group:
        """Quantise [n] real values, with the step of least mean squared error (of `MOST_SEARCHED` of them where there
        are more).

        Examples
        --------
        >>> group = Group.encode(np.array([-1.0, 1.0, 1.0, -1.0]), 1)
        >>> group.codes.tolist(), group.decode().round(4).tolist()
        ([0, 1, 1, 0], [-1.0, 1.0, 1.0, -1.0])
        """
        mean = float(np.float32(values.mean()))
        centred = values - mean
        largest = float(np.abs(centred).max())
        if bits == 0 or largest == 0:
            return cls(0, mean, 0.0, np.zeros(len(values), np.uint16))
        half = 1 << (bits - 1)

        def levels(some: np.ndarray, step: float) -> np.ndarray:
            return (_levels(some, step, half) - half + 0.5) * step

        step = _best_step(centred, largest / (half - 0.5), levels)  # whose outermost level is the largest value
        return cls(bits, mean, step, _levels(centred, step, half).astype(np.uint16))

    @classmethod
    def from_zero(cls, values: np.ndarray, bits: int) -> Group:
        """The same for values that are never negative: the lowest level is 0, so that none lies where no value is.

        Examples
        --------
        >>> group = Group.from_zero(np.array([0.0, 0.0, 1.0, 7.0]), 3)
        >>> group.codes.tolist(), group.decode().tolist()
        ([0, 0, 1, 7], [0.0, 0.0, 1.0, 7.0])
        """
        highest, largest = (1 << bits) - 1, float(values.max())
        if largest == 0:
            return cls(0, 0.0, 0.0, np.zeros(len(values), np.uint16))

        def codes(some: np.ndarray, step: float) -> np.ndarray:
            return np.minimum(np.floor(some / step + 0.5), highest)

        step = _best_step(values, largest / highest, lambda some, step: codes(some, step) * step)
        return cls(bits, (highest / 2) * step, step, codes(values, step).astype(np.uint16))

    def decode(self) -> np.ndarray:
        """float64 [n]."""
        if self.bits == 0:
            return np.full(len(self.codes), self.mean)
        return self.mean + (self.codes.astype(np.float64) - (1 << (self.bits - 1)) + 0.5) * self.step

    def through(self, values: np.ndarray) -> np.ndarray:
        """float64 of other real values of any shape, quantised by the same mean and step.

        Examples
        --------
        >>> Group(1, 0.0, 2.0, np.zeros(1, np.uint16)).through(np.array([[-7.0], [0.1]])).tolist()
        [[-1.0], [1.0]]
        """
        if self.bits == 0:
            return np.full(values.shape, self.mean)
        half = 1 << (self.bits - 1)
        return self.mean + (_levels(values - self.mean, self.step, half) - half + 0.5) * self.step

    @property
    def stored_bits(self) -> int:
        """Codes and header."""
        return self.bits * len(self.codes) + MEAN_BITS + COUNT_BITS + (STEP_BITS if self.bits else 0)


def through_columns(groups: Sequence[Group], values: np.ndarray) -> np.ndarray:
    """float64 of real values [n, k], each column by a group of its own, or all by the same one.

    Examples
    --------
    >>> groups = [Group(0, 3.0, 0.0, np.zeros(1, np.uint16)), Group(1, 0.0, 2.0, np.zeros(1, np.uint16))]
    >>> through_columns(groups, np.array([[-7.0, -7.0], [0.1, 0.1]])).tolist()
    [[3.0, -1.0], [3.0, 1.0]]
    """
    if len(groups) == 1:
        return groups[0].through(values)
    mean = np.array([group.mean for group in groups])
    step = np.array([group.step for group in groups])
    half = np.array([1 << group.bits >> 1 for group in groups])
    some = step > 0  # the others have no bits, and are their mean
    levels = _levels(values - mean, np.where(some, step, 1.0), half) - half + 0.5
    return mean + np.where(some, levels * step, 0.0)


def _best_step(values: np.ndarray, widest: float, levels: Callable[[np.ndarray, float], np.ndarray]) -> float:
    """The step of least mean squared error, up to `widest`, of `MOST_SEARCHED` values where there are more."""
    some = values
    if len(values) > MOST_SEARCHED:
        some = np.random.default_rng(0).choice(values, MOST_SEARCHED, replace=False)
    # Parts of the range: clipping a few values makes the rest finer.
    steps = [float(np.float32(widest * part)) for part in np.linspace(0.05, 1.0, 96)]
    return min(steps, key=lambda step: float(((levels(some, step) - some) ** 2).sum()))


def _levels(values: np.ndarray, step: float | np.ndarray, half: int | np.ndarray) -> np.ndarray:
    return np.clip(np.floor(values / step) + half, 0, 2 * half - 1)


@dataclass(frozen=True, eq=False)
class EncodedWeight:
    """A layer's weights as groups of codes.

    Parameters
    ----------
    shape : tuple of int
        [out, in, height, width] of the weights.
    groups : tuple of Group
        One for all weights in space, one for all coefficients in frequency where they are quantised uniformly, and with
        water-filling one for each of the height * width real coefficients.
    frequency : bool
        Whether the codes are of coefficients.
    """

    shape: tuple[int, int, int, int]
    groups: tuple[Group, ...]
    frequency: bool

    @classmethod
    def encode(cls, weight: np.ndarray, method: str, rate: float) -> EncodedWeight:
        """Encode `weight` at `rate` bits per weight, headers not counted.

        Parameters
        ----------
        weight : numpy.ndarray
            Real [out, in, height, width].
        method : str
            One of `CODINGS`. Uniform ones need a whole rate.
        rate : float
            Mean bits per weight.

        Raises
        ------
        ArgumentError
            For another method, rate or shape.
        """
        if method not in CODINGS:
            raise ArgumentError(f"method must be one of {', '.join(CODINGS)}, not {method!r}")
        if weight.ndim != 4 or 0 in weight.shape:
            raise ArgumentError(f"weight must be [out, in, height, width], not {weight.shape}")
        if method != CODINGS[2] and rate != int(rate):
            raise ArgumentError(f"uniform quantisation has a whole number of bits, not {rate!r}")
        out, channels, height, width = weight.shape
        planes = np.asarray(weight, np.float64).reshape(-1, height, width)
        shape = (out, channels, height, width)
        if method == CODINGS[0]:
            return cls(shape, (Group.encode(planes.ravel(), int(rate)),), frequency=False)
        coefficients = RealFourier(height, width).forward(planes)
        if method == CODINGS[1]:
            return cls(shape, (Group.encode(coefficients.ravel(), int(rate)),), frequency=True)
        bits = whole_bits(coefficients.var(0), rate)
        return cls(
            shape, tuple(Group.encode(column, int(b)) for column, b in zip(coefficients.T, bits)), frequency=True
        )

    def decode(self) -> np.ndarray:
        """float64 [out, in, height, width]."""
        _, _, height, width = self.shape
        if len(self.groups) == 1:
            values = self.groups[0].decode().reshape(-1, height * width)
        else:
            values = np.stack([group.decode() for group in self.groups], 1)
        return (RealFourier(height, width).inverse(values) if self.frequency else values).reshape(self.shape)

    @property
    def stored_bits(self) -> int:
        """Of all codes and headers."""
        return sum(group.stored_bits for group in self.groups)


def water_filling_rate(shapes: Sequence[tuple[int, ...]], rate: int) -> float:
    """The mean bits per weight at which water-filling takes no more than uniform quantisation does at `rate`, headers
    included.

    Water-filling has a header for each coefficient, the others have one for each layer; so it has to do with fewer bits
    in its codes.

    Parameters
    ----------
    shapes : sequence of tuple of int
        [out, in, height, width] of the layers that have more than one coefficient.
    rate : int
        Bits per weight of the uniform quantisation.

    Returns
    -------
    float
        0 where the headers alone take more.

    Examples
    --------
    >>> round(water_filling_rate([(64, 32, 3, 3)], 2), 3)
    1.97
    """
    weights = sum(math.prod(shape) for shape in shapes)
    headers = sum(shape[2] * shape[3] - 1 for shape in shapes) * (MEAN_BITS + STEP_BITS + COUNT_BITS)
    return max(0.0, rate - headers / weights) if weights else float(rate)
