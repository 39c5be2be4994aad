"""Variance of each 2-D FFT coefficient, over weights and over activations."""

from __future__ import annotations

import numpy as np

from pynq_cnn.errors import ArgumentError


def coefficient_variance(planes: np.ndarray) -> np.ndarray:
    """Variance of every coefficient of the 2-D FFT over many planes.

    Parameters
    ----------
    planes : numpy.ndarray
        Real [n, height, width].

    Returns
    -------
    numpy.ndarray
        float64 [height, width]: the mean over the planes of ``|F - mean F|^2``, frequency 0 at [0, 0]. The FFT is
        not normalised.

    Examples
    --------
    >>> white = np.random.default_rng(0).normal(size=(20000, 4, 4))
    >>> bool(np.allclose(coefficient_variance(white), 16, rtol=0.05))  # flat, at height * width * variance
    True
    """
    planes = np.asarray(planes, np.float64)
    if planes.ndim != 3 or 0 in planes.shape:
        raise ArgumentError(f"planes must be [n, height, width], not {planes.shape}")
    # In pieces: a batch of 512 images of 256 channels would take gigabytes as complex numbers.
    total = np.zeros(planes.shape[1:], complex)
    square = np.zeros(planes.shape[1:])
    for start in range(0, len(planes), 4096):
        transformed = np.fft.fft2(planes[start : start + 4096])
        total += transformed.sum(0)
        square += (np.abs(transformed) ** 2).sum(0)
    return np.maximum(square / len(planes) - np.abs(total / len(planes)) ** 2, 0)


def weight_variance(weight: np.ndarray, feature_map: tuple[int, int]) -> np.ndarray:
    """`coefficient_variance` of kernels padded with zeros to the feature map that they slide over.

    Parameters
    ----------
    weight : numpy.ndarray
        [out, in, kernel_h, kernel_w].
    feature_map : tuple of int
        (height, width), not smaller than the kernel.

    Examples
    --------
    >>> weight_variance(np.random.default_rng(0).normal(size=(4, 4, 3, 3)), (28, 28)).shape
    (28, 28)
    """
    if weight.ndim != 4 or any(side < k for side, k in zip(feature_map, weight.shape[2:])):
        raise ArgumentError(
            f"weight must be [out, in, kernel_h, kernel_w] and fit the feature map {feature_map}, not {weight.shape}"
        )
    planes = np.zeros((weight.shape[0] * weight.shape[1], *feature_map))
    planes[:, : weight.shape[2], : weight.shape[3]] = weight.reshape(-1, *weight.shape[2:])
    return coefficient_variance(planes)


def activation_variance(activations: np.ndarray) -> np.ndarray:
    """`coefficient_variance` over all images and channels of [n, channels, height, width] activations."""
    if activations.ndim != 4:
        raise ArgumentError(f"activations must be [n, channels, height, width], not {activations.shape}")
    return coefficient_variance(activations.reshape(-1, *activations.shape[2:]))
