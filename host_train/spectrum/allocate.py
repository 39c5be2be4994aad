"""Bits per coefficient: more where the variance is high, fewer where it is low."""

from __future__ import annotations

import heapq

import numpy as np

from pynq_cnn.errors import ArgumentError

MOST_BITS = 12  # of one coefficient; what is left beyond is far below the int8 grid


def reverse_water_filling(variance: np.ndarray, rate: float) -> np.ndarray:
    """Bits that minimise the mean squared error of independent Gaussian coefficients at a mean rate.

    A coefficient of variance s gets `max(0, log2(s / theta) / 2)` bits; the water level theta is where the mean is
    `rate`. [Cover and Thomas, Elements of Information Theory, 2nd edition, section 10.3.3]

    Parameters
    ----------
    variance : numpy.ndarray
        [k], not negative.
    rate : float
        Mean bits per coefficient, not negative.

    Returns
    -------
    numpy.ndarray
        float64 [k].

    Examples
    --------
    >>> reverse_water_filling(np.array([16.0, 4.0, 1.0, 0.0]), 0.75).round(3).tolist()
    [2.0, 1.0, 0.0, 0.0]
    """
    variance = np.asarray(variance, np.float64)
    if variance.ndim != 1 or not len(variance) or not np.isfinite(variance).all() or variance.min() < 0:
        raise ArgumentError(f"variance must be finite numbers [k] that are not negative, not {variance!r:.200}")
    if not 0 <= rate < np.inf:
        raise ArgumentError(f"rate must be a finite number of bits that is not negative, not {rate!r}")
    ordered = np.sort(variance[variance > 0])[::-1]
    if not len(ordered) or rate == 0:
        return np.zeros(len(variance))
    # With the n largest above the water: log2(theta) = (sum of their log2 variances - 2 * total bits) / n. The right n
    # is the last for which the water is below the n-th variance.
    count = np.arange(1, len(ordered) + 1)
    level = (np.cumsum(np.log2(ordered)) - 2 * rate * len(variance)) / count
    above = np.flatnonzero(np.log2(ordered) > level)
    n = int(above[-1]) if len(above) else 0  # rounding may put even the largest under, at next to no rate
    with np.errstate(divide="ignore"):
        return np.maximum(0, (np.log2(variance) - level[n]) / 2)


def whole_bits(variance: np.ndarray, rate: float) -> np.ndarray:
    """Reverse water-filling in whole bits: each in turn to the coefficient whose error is the largest, `variance /
    4^bits`.

    Parameters
    ----------
    variance, rate
        As of `reverse_water_filling`.

    Returns
    -------
    numpy.ndarray
        int64 [k], at most `MOST_BITS` each; their sum is `floor(rate * k)` unless the variances are all used up.

    Examples
    --------
    >>> whole_bits(np.array([16.0, 4.0, 1.0, 0.0]), 0.75).tolist()
    [2, 1, 0, 0]
    """
    reverse_water_filling(variance, rate)  # checks both
    bits = np.zeros(len(variance), np.int64)
    heap = [(-float(s), k) for k, s in enumerate(variance) if s > 0]
    heapq.heapify(heap)
    for _ in range(int(np.floor(rate * len(variance) + 1e-9))):
        if not heap:
            break
        error, k = heapq.heappop(heap)
        bits[k] += 1
        if bits[k] < MOST_BITS:
            heapq.heappush(heap, (error / 4, k))
    return bits
