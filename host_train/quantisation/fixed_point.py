"""Real ratios as a 16-bit multiplier and a shift (docs/contract/numerics.md, sections 3 and 8)."""

from __future__ import annotations

import numpy as np

from pynq_cnn.errors import NetworkError

MAX_SHIFT = 47
LARGEST = 65535 / 2


def fixed_point(ratios: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Closest `m / 2^s` to each ratio, `m` in [2^15, 2^16) where the shift allows it.

    A ratio above the largest, 32,767.5, is taken for it, which changes no byte: from a ratio of 255 on, an accumulator
    of 1 or more gives 255, and one of 0 or less gives 0. (Channels have such ratios whose weights are huge and whose
    outputs are never above 0.)

    Parameters
    ----------
    ratios : numpy.ndarray
        float64 [n], finite, not negative.

    Returns
    -------
    multiplier, shift : numpy.ndarray
        uint16 [n] and uint8 [n], `s` from 1 to 47. The error is at most 2^-16 of a ratio that is at least 2^-32; for a
        smaller one it is at most 2^-48.

    Raises
    ------
    NetworkError
        For a ratio that is negative or not finite.

    Examples
    --------
    >>> m, s = fixed_point(np.array([0.5, 1 / 3, 0.0]))
    >>> m.tolist(), s.tolist()
    ([32768, 43691, 0], [16, 17, 47])
    >>> [int(constant[0]) for constant in fixed_point(np.array([1e9]))]
    [65535, 1]
    >>> (m / 2.0**s).round(5).tolist()
    [0.5, 0.33334, 0.0]
    """
    ratios = np.asarray(ratios, np.float64)
    bad = ~((ratios >= 0) & np.isfinite(ratios))
    if bad.any():
        raise NetworkError(
            f"requantisation by {float(ratios[bad][0])} has no 16-bit multiplier and shift; steps of weights and"
            " activations must be finite"
        )
    ratios = np.minimum(ratios, LARGEST)
    _, exponent = np.frexp(ratios)  # ratio = fraction * 2^exponent, fraction in [0.5, 1)
    shift = np.minimum(16 - exponent, MAX_SHIFT)
    multiplier = np.rint(np.ldexp(ratios, shift))
    carried = multiplier == 65536  # a fraction just below 1 rounds up to it
    multiplier, shift = np.where(carried, 32768, multiplier), np.where(carried, shift - 1, shift)
    shift = np.where(multiplier == 0, MAX_SHIFT, shift)
    return multiplier.astype(np.uint16), shift.astype(np.uint8)
