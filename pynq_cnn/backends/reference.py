"""The reference: NumPy, written from docs/numerics.md and nothing else. It is the oracle the other executions are compared with."""

from __future__ import annotations

from functools import singledispatch
from time import perf_counter

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pynq_cnn.backends.base import Backend
from pynq_cnn.model import AvgPool2d, BinaryConv2d, Conv2d, Dense, Layer, MaxPool2d, Requantisation, Threshold


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


def windows_of(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Every window of `size`, [n, out_h, out_w, c, size_h, size_w], of [n, h, w, c] images, as a view."""
    return sliding_window_view(images, (1, *size, 1))[:, :, :, :, 0, :, :, 0]


def im2col(images: np.ndarray, layer: Conv2d | BinaryConv2d, outside: np.ndarray | int) -> np.ndarray:
    """The window under every output pixel, [n, out_h, out_w, kernel_h * kernel_w * in], of [n, h, w, in] images.

    Pixels outside the image are `outside`.
    """
    n, height, width, channels = images.shape
    (pad_h, pad_w), (stride_h, stride_w) = layer.padding, layer.stride
    padded = np.empty((n, height + 2 * pad_h, width + 2 * pad_w, channels), images.dtype)
    padded[...] = outside
    padded[:, pad_h : pad_h + height, pad_w : pad_w + width] = images
    # [n, out_h, out_w, in, kernel_h, kernel_w]
    windows = windows_of(padded, layer.kernel)[:, ::stride_h, ::stride_w]
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(*windows.shape[:3], -1)


def convolve_binary(bits: np.ndarray, layer: BinaryConv2d) -> np.ndarray:
    """int32 [n, out_h, out_w, out] accumulators of bits, uint8 0 or 1 [n, h, w, in] (numerics, section 6).

    Sums of products of +1 and -1, with 0 outside the image: the contract's definition, and far from how the engine counts bits.
    """
    signs = bits.astype(np.float32) * 2 - 1
    columns = im2col(signs, layer, 0)
    return (columns @ layer.signs().reshape(layer.outputs, -1).T.astype(np.float32)).astype(np.int32)  # exact: below 2^24


def convolve(images: np.ndarray, layer: Conv2d) -> np.ndarray:
    """int32 [n, out_h, out_w, out] accumulators of uint8 [n, h, w, in] images (numerics, section 2)."""
    columns = im2col(images, layer, 0 if layer.pad_value is None else layer.pad_value)
    acc = matmul_exact(columns.reshape(-1, columns.shape[-1]), layer.weight.reshape(layer.outputs, -1), layer.bias)
    return acc.reshape(*columns.shape[:3], layer.outputs)


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


def finish(acc: np.ndarray, requantisation: Requantisation | None, threshold: Threshold | None) -> np.ndarray:
    """What follows an accumulator [..., out]: bytes (section 3), bits (section 6), or nothing."""
    if threshold is not None:
        return (acc >= threshold.value).astype(np.uint8)
    return acc if requantisation is None else requantise(acc, requantisation)


def max_pool(images: np.ndarray, layer: MaxPool2d) -> np.ndarray:
    """uint8 [n, out_h, out_w, c] window maxima of uint8 [n, h, w, c] (numerics, section 4); of bits that is OR."""
    return windows_of(images, (layer.size, layer.size))[:, :: layer.stride, :: layer.stride].max(axis=(-2, -1))


def sum_pool(images: np.ndarray, layer: AvgPool2d) -> np.ndarray:
    """int32 [n, out_h, out_w, c] window sums of uint8 [n, h, w, c] (numerics, section 7)."""
    return windows_of(images, layer.size)[:, :: layer.stride[0], :: layer.stride[1]].sum(axis=(-2, -1), dtype=np.int32)


@singledispatch
def apply(layer: Layer, images: np.ndarray) -> np.ndarray:
    """One layer over a batch: uint8 [n, h, w, c] in, uint8 or int32 [n, h, w, c] out."""
    raise TypeError(f"the reference has no rule for {type(layer).__name__}")


@apply.register
def _(layer: Conv2d, images: np.ndarray) -> np.ndarray:
    return finish(convolve(images, layer), layer.requantisation, layer.threshold)


@apply.register
def _(layer: BinaryConv2d, images: np.ndarray) -> np.ndarray:
    return finish(convolve_binary(images, layer), None, layer.threshold)


@apply.register
def _(layer: Dense, images: np.ndarray) -> np.ndarray:
    acc = matmul_exact(images.reshape(len(images), -1), layer.weight, layer.bias)[:, None, None, :]
    return finish(acc, layer.requantisation, layer.threshold)


@apply.register
def _(layer: MaxPool2d, images: np.ndarray) -> np.ndarray:
    return max_pool(images, layer)


@apply.register
def _(layer: AvgPool2d, images: np.ndarray) -> np.ndarray:
    return finish(sum_pool(images, layer), layer.requantisation, None)


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
