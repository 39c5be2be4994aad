"""Bits by frequency: what water-filling gives the coefficients of each layer, and the variance that it follows from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from host_train.spectrum.allocate import whole_bits
from host_train.spectrum.basis import RealFourier
from host_train.spectrum.codec import water_filling_rate
from pynq_cnn.checks import integer
from pynq_cnn.errors import ArgumentError


@dataclass(frozen=True, eq=False)
class LayerBits:
    """The bits of one layer, frequency 0 at [0, 0].

    Parameters
    ----------
    name : str
        The layer.
    variance : numpy.ndarray
        float64 [height, width] of the kernels: variance of the coefficients of their own orthonormal 2-D FFT.
    bits : dict
        float64 [height, width] by rate: mean bits of real and imaginary part. Their sum is the bits of a kernel.
    """

    name: str
    variance: np.ndarray
    bits: dict[int, np.ndarray]


def check_rates(rates: Sequence[int]) -> list[int]:
    """Rates as ints; `ArgumentError` if there is none, or one is no integer from 1 to 8."""
    if not rates:
        raise ArgumentError("there are no rates; give integers from 1 to 8")
    return [integer("each of the rates", rate, 1, 8) for rate in rates]


def shapes_in_frequency(weights: Mapping[str, np.ndarray]) -> list[tuple[int, ...]]:
    """Shapes of the weights [out, in, height, width] whose kernels have more than one coefficient."""
    return [weight.shape for weight in weights.values() if weight[0, 0].size > 1]


def bit_maps(weights: Mapping[str, np.ndarray], rates: Sequence[int]) -> list[LayerBits]:
    """The bits that the comparison gives the coefficients with water-filling, of every layer whose kernels have more
    than one.

    Parameters
    ----------
    weights : mapping
        Real [out, in, height, width] by layer, as of `host_train.spectrum.study.as_planes`.
    rates : sequence of int
        Bits per weight of the uniform quantisation that water-filling is compared with.

    Raises
    ------
    ArgumentError
        For rates that are no integers from 1 to 8.
    """
    rates = check_rates(rates)
    own = {rate: water_filling_rate(shapes_in_frequency(weights), rate) for rate in rates}
    found = []
    for name, weight in weights.items():
        height, width = weight.shape[2:]
        if height * width > 1:
            basis = RealFourier(height, width)
            variance = basis.forward(np.asarray(weight, np.float64).reshape(-1, height, width)).var(0)
            bits = {rate: basis.as_map(whole_bits(variance, own[rate])) for rate in rates}
            found.append(LayerBits(name, basis.as_map(variance), bits))
    return found
