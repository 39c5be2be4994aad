"""Constants of each output channel, from the accumulators on."""

from __future__ import annotations

import numpy as np

from pynq_cnn.compiler.instructions import Flag
from pynq_cnn.compiler.packing import PARAMETERS
from pynq_cnn.compiler.stage import Finish
from pynq_cnn.model import Requantisation, Skip, Threshold

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


def finish(
    bias: np.ndarray,
    requantisation: Requantisation | None,
    threshold: Threshold | None,
    sums: tuple[np.ndarray, np.ndarray] | None = None,
    skip: Skip | None = None,
) -> tuple[Finish, Flag]:
    """Constants and flags.

    Parameters
    ----------
    bias : numpy.ndarray
        int [out].
    requantisation, threshold
        What the layer has.
    sums : tuple of numpy.ndarray, optional
        int64 [out], the smallest and largest sum that the accumulator can have besides its bias: with a threshold.
    skip : Skip, optional
        What is added.

    Raises
    ------
    OverflowError
        If no bias in int32 stands for the threshold.
    """
    parameters = np.zeros(len(bias), PARAMETERS)
    parameters["shift"] = 1
    wide = np.asarray(bias, np.int64)
    if skip is not None:
        parameters["skip"] = skip.multiplier
    if threshold is not None:
        # acc >= t is acc - t >= 0. A threshold that is never or always reached may be beyond int32: one just out of
        # reach says the same.
        assert sums is not None
        low, high = sums
        if (high - low > INT32_MAX).any():
            raise OverflowError
        parameters["bias"] = np.clip(wide - threshold.value, -high - 1, -low)
        return Finish(parameters), Flag.SIGN
    parameters["bias"] = wide
    if requantisation is None:
        return Finish(parameters), Flag.INT32
    parameters["multiplier"], parameters["shift"] = requantisation.multiplier, requantisation.shift
    return Finish(parameters, requantisation.zero_point, requantisation.low), Flag.NONE


def weight_sums(weight: np.ndarray, skip: Skip | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and largest sum of bytes times int8 weights [out, ...], and of a skip; int64 [out] each."""
    rows = weight.reshape(len(weight), -1)
    high = 255 * np.maximum(rows, 0).sum(1, dtype=np.int64)
    low = 255 * np.minimum(rows, 0).sum(1, dtype=np.int64)
    return low, high + (255 * skip.multiplier.astype(np.int64) if skip is not None else 0)
