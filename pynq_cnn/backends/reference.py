"""The reference: NumPy, written from docs/numerics.md and nothing else. It is the oracle the other executions are compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from time import perf_counter

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pynq_cnn.backends.base import Backend
from pynq_cnn.model import AvgPool2d, BinaryConv2d, Conv2d, Dense, Layer, MaxPool2d, Network, Requantisation, Threshold

Step = Callable[[np.ndarray], np.ndarray]

PARTS = 8
COLUMN_BYTES = 4 << 20  # of im2col at once: what stays in a cache is worked on faster, and a board has little memory


@dataclass(frozen=True, eq=False)
class ExactMatrix:
    """Weights in floating point, for exact integer products at the speed of a BLAS.

    Floating point adds integers exactly, in any order, while every partial sum stays below 2^24 (float32) or 2^53 (float64). Where the
    weights' own bound is beyond 2^24, the sum is taken in a few parts that are below it: float64 would take twice as long.

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


def convolve(images: np.ndarray, layer: Conv2d | BinaryConv2d, weight: ExactMatrix, outside: np.ndarray | int) -> np.ndarray:
    """int32 [n, out_h, out_w, out] sums of products of integers [n, h, w, in] (numerics, section 2), without the bias."""
    _, height, width, channels = images.shape
    out_h, out_w, outputs = layer.output_shape((height, width, channels))
    acc = np.empty((len(images), out_h, out_w, outputs), np.int32)
    column = out_h * out_w * sum(len(part) for part in weight.parts) * weight.parts[0].itemsize
    step = max(1, COLUMN_BYTES // column)
    for start in range(0, len(images), step):
        columns = im2col(images[start : start + step], layer, outside)
        acc[start : start + step] = weight.product(columns.reshape(-1, columns.shape[-1])).reshape(-1, out_h, out_w, outputs)
    return acc


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
def execution(layer: Layer) -> Step:
    """What one layer does to a batch: uint8 [n, h, w, c] in, uint8 or int32 [n, h, w, c] out."""
    raise TypeError(f"the reference has no rule for {type(layer).__name__}")


@execution.register
def _(layer: Conv2d) -> Step:
    weight, outside = ExactMatrix.of(layer.weight), 0 if layer.pad_value is None else layer.pad_value
    return lambda images: finish(convolve(images, layer, weight, outside) + layer.bias, layer.requantisation, layer.threshold)


@execution.register
def _(layer: BinaryConv2d) -> Step:
    """Section 6: sums of products of +1 and -1, with 0 outside the image; the definition, and far from how the engine counts bits."""
    weight = ExactMatrix.of(layer.signs())
    return lambda bits: finish(convolve(bits.astype(np.int8) * 2 - 1, layer, weight, 0), None, layer.threshold)


@execution.register
def _(layer: Dense) -> Step:
    weight = ExactMatrix.of(layer.weight)

    def step(images: np.ndarray) -> np.ndarray:
        acc = weight.product(images.reshape(len(images), -1)) + layer.bias
        return finish(acc[:, None, None, :], layer.requantisation, layer.threshold)

    return step


@execution.register
def _(layer: MaxPool2d) -> Step:
    return lambda images: max_pool(images, layer)


@execution.register
def _(layer: AvgPool2d) -> Step:
    return lambda images: finish(sum_pool(images, layer), layer.requantisation, None)


class ReferenceBackend(Backend):
    """Runs a network in NumPy.

    Parameters
    ----------
    network : Network
        What to run.
    batch : int
        Images worked on at once: bounds the memory that activations take, changes no result.

    Examples
    --------
    >>> from pynq_cnn.model import InputSpec, Network, OutputSpec
    >>> layer = Dense("fc", np.array([[1, -1]], np.int8), np.array([10], np.int32))
    >>> output = OutputSpec(np.ones(1, np.float32), np.zeros(1, np.float32), "values")
    >>> net = Network("tiny", InputSpec(1, 2, 1, "L", (0.0,), (1.0,)), (layer,), output, ("only",))
    >>> ReferenceBackend(net).run(np.array([[[[3], [5]]]], np.uint8)).tolist()
    [[8]]
    """

    name = "reference"

    def __init__(self, network: Network, batch: int = 64) -> None:
        super().__init__(network, batch)
        self._steps = [execution(layer) for layer in network.layers]  # weights are made floats once, not with every batch

    def _run(self, images: np.ndarray) -> np.ndarray:
        mark = perf_counter()
        values = images
        for step in self._steps:
            values = step(values)
        self._spent("run", mark)
        return values[:, 0, 0, :]

    def activations(self, images: np.ndarray) -> list[np.ndarray]:
        """Every layer's output [n, h, w, c], in order: uint8, the last int32.

        Parameters
        ----------
        images : numpy.ndarray
            uint8 [n, height, width, channels].
        """
        values, outputs = self.network.check_images(images), []
        for step in self._steps:
            values = step(values)
            outputs.append(values)
        return outputs
