"""The reference: NumPy, written from docs/numerics.md and nothing else. It is the oracle the other executions are compared with."""

from __future__ import annotations

from functools import singledispatch
from time import perf_counter

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pynq_cnn.backends.base import Backend
from pynq_cnn.model import Conv2d, Dense, Layer, MaxPool2d, Requantisation


def matmul_exact(inputs: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """`inputs @ weight.T + bias` in exact integer arithmetic, at the speed of a floating-point BLAS.

    Floating point adds integers exactly, in any order, while every partial sum stays below 2^24 (float32) or 2^53 (float64);
    the layer's own bound says which is enough.

    Parameters
    ----------
    inputs : numpy.ndarray
        uint8 [n, k].
    weight : numpy.ndarray
        int8 [out, k].
    bias : numpy.ndarray
        int32 [out].

    Returns
    -------
    numpy.ndarray
        int32 [n, out].

    Examples
    --------
    >>> matmul_exact(np.array([[1, 2]], np.uint8), np.array([[3, -4]], np.int8), np.array([5], np.int32))
    array([[0]], dtype=int32)
    """
    bound = 255 * np.abs(weight.astype(np.int64)).sum(1).max()
    kind = np.float32 if bound < 2**24 else np.float64
    return (inputs.astype(kind) @ weight.T.astype(kind)).astype(np.int32) + bias


def convolve(images: np.ndarray, layer: Conv2d) -> np.ndarray:
    """int32 [n, out_h, out_w, out] accumulators of uint8 [n, h, w, in] images (numerics, section 2), by im2col."""
    n, height, width, channels = images.shape
    (pad_h, pad_w), (stride_h, stride_w) = layer.padding, layer.stride
    padded = np.zeros((n, height + 2 * pad_h, width + 2 * pad_w, channels), np.uint8)
    if layer.pad_value is not None:
        padded[...] = layer.pad_value
    padded[:, pad_h : pad_h + height, pad_w : pad_w + width] = images
    windows = sliding_window_view(padded, layer.kernel, axis=(1, 2))[:, ::stride_h, ::stride_w]  # [n, out_h, out_w, in, kernel_h, kernel_w]
    columns = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, layer.kernel[0] * layer.kernel[1] * channels)
    acc = matmul_exact(columns, layer.weight.reshape(len(layer.weight), -1), layer.bias)
    return acc.reshape(n, windows.shape[1], windows.shape[2], len(layer.weight))


def requantise(acc: np.ndarray, constants: Requantisation) -> np.ndarray:
    """uint8 of int32 accumulators [..., out] (numerics, section 3).

    Examples
    --------
    >>> half = Requantisation(np.array([1], np.uint16), np.array([1], np.uint8))
    >>> requantise(np.array([[-1], [1], [2], [3], [999]], np.int32), half).ravel()
    array([  0,   1,   1,   2, 255], dtype=uint8)
    """
    shift = constants.shift.astype(np.int64)
    rounded = acc.astype(np.int64) * constants.multiplier.astype(np.int64) + (np.int64(1) << (shift - 1))
    return np.clip(rounded >> shift, 0, 255).astype(np.uint8)


def max_pool(images: np.ndarray, layer: MaxPool2d) -> np.ndarray:
    """uint8 [n, out_h, out_w, c] window maxima of uint8 [n, h, w, c] (numerics, section 4)."""
    windows = sliding_window_view(images, (layer.size, layer.size), axis=(1, 2))
    return windows[:, :: layer.stride, :: layer.stride].max(axis=(-2, -1))


@singledispatch
def apply(layer: Layer, images: np.ndarray) -> np.ndarray:
    """One layer over a batch: uint8 [n, h, w, c] in, uint8 or int32 [n, h, w, c] out."""
    raise TypeError(f"the reference has no rule for {type(layer).__name__}")


@apply.register
def _(layer: Conv2d, images: np.ndarray) -> np.ndarray:
    acc = convolve(images, layer)
    return acc if layer.requantisation is None else requantise(acc, layer.requantisation)


@apply.register
def _(layer: Dense, images: np.ndarray) -> np.ndarray:
    acc = matmul_exact(images.reshape(len(images), -1), layer.weight, layer.bias)[:, None, None, :]
    return acc if layer.requantisation is None else requantise(acc, layer.requantisation)


@apply.register
def _(layer: MaxPool2d, images: np.ndarray) -> np.ndarray:
    return max_pool(images, layer)


class ReferenceBackend(Backend):
    """Runs a network in NumPy.

    Parameters
    ----------
    network : Network
        What to run.
    batch : int
        Images worked on at once: bounds the memory that im2col takes, changes no result.

    Examples
    --------
    >>> from pynq_cnn.model import InputSpec, Network, OutputSpec
    >>> layer = Dense("fc", np.array([[1, -1]], np.int8), np.array([10], np.int32))
    >>> output = OutputSpec(np.ones(1, np.float32), np.zeros(1, np.float32))
    >>> net = Network("tiny", InputSpec(1, 2, 1, "L", (0.0,), (1.0,)), (layer,), output, ("only",))
    >>> ReferenceBackend(net).run(np.array([[[[3], [5]]]], np.uint8))
    array([[8]], dtype=int32)
    """

    name = "reference"

    def _run(self, images: np.ndarray) -> np.ndarray:
        mark = perf_counter()
        accumulators = self.activations(images)[-1][:, 0, 0, :]
        self._spent("run", mark)
        return accumulators

    def activations(self, images: np.ndarray) -> list[np.ndarray]:
        """Every layer's output [n, h, w, c], in order: uint8, the last int32.

        Parameters
        ----------
        images : numpy.ndarray
            uint8 [n, height, width, channels].
        """
        values, outputs = self.network.check_images(images), []
        for layer in self.network.layers:
            values = apply(layer, values)
            outputs.append(values)
        return outputs
