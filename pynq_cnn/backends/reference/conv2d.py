"""Convolution on bytes (docs/contract/numerics.md, section 2)."""

from __future__ import annotations

import numpy as np

from pynq_cnn.backends.reference.exact_matrix import ExactMatrix
from pynq_cnn.backends.reference.execution import Step, execution
from pynq_cnn.backends.reference.finish import add_skip, finish
from pynq_cnn.backends.reference.im2col import convolve, padded, windows_of
from pynq_cnn.model import Conv2d, TensorType


def depthwise(layer: Conv2d, outside: np.ndarray) -> Step:
    """Sums over the window of each channel: one product a tap, as there is nothing for a product of matrices to add."""
    taps = layer.weight[..., 0].transpose(1, 2, 0).astype(np.int32)

    def step(images: np.ndarray) -> np.ndarray:
        larger = padded(images, layer.padding, outside).astype(np.int32)
        windows = windows_of(larger, layer.kernel, layer.stride, layer.dilation)
        acc = np.zeros(windows.shape[:4], np.int32)
        for i, row in enumerate(taps):
            for j, tap in enumerate(row):
                acc += windows[..., i, j] * tap
        return acc

    return step


def grouped(layer: Conv2d, outside: np.ndarray) -> Step:
    """Each group of output channels over its own input channels."""
    weights = [ExactMatrix.of(part) for part in np.split(layer.weight, layer.groups)]
    borders = np.split(np.broadcast_to(outside, layer.in_channels), layer.groups)

    def step(images: np.ndarray) -> np.ndarray:
        parts = np.split(images, layer.groups, axis=-1)
        sums = [convolve(part, layer, weight, border) for part, weight, border in zip(parts, weights, borders)]
        return sums[0] if len(sums) == 1 else np.concatenate(sums, axis=-1)

    return step


@execution.register
def _(layer: Conv2d, *given: TensorType) -> Step:
    outside = np.array(given[0].zero_point, np.uint8)
    convolution = depthwise(layer, outside) if layer.depthwise else grouped(layer, outside)

    def step(images: np.ndarray, *skipped: np.ndarray) -> np.ndarray:
        acc = add_skip(convolution(images) + layer.bias, layer.skip, skipped)
        return finish(acc, layer.requantisation, layer.threshold)

    return step
