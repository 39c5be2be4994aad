"""Windows over images, and convolution as one product of matrices."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pynq_cnn.backends.reference.exact_matrix import ExactMatrix
from pynq_cnn.model import BinaryConv2d, Conv2d

COLUMN_BYTES = 4 << 20  # of im2col at once: what stays in a cache is worked on faster, and a board has little memory


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


def convolve(
    images: np.ndarray, layer: Conv2d | BinaryConv2d, weight: ExactMatrix, outside: np.ndarray | int
) -> np.ndarray:
    """int32 [n, out_h, out_w, out] sums of products of integers [n, h, w, in] (numerics, section 2), without
    the bias.
    """
    _, height, width, channels = images.shape
    out_h, out_w, outputs = layer.output_shape((height, width, channels))
    acc = np.empty((len(images), out_h, out_w, outputs), np.int32)
    column = out_h * out_w * sum(len(part) for part in weight.parts) * weight.parts[0].itemsize
    step = max(1, COLUMN_BYTES // column)
    for start in range(0, len(images), step):
        columns = im2col(images[start : start + step], layer, outside)
        acc[start : start + step] = weight.product(columns.reshape(-1, columns.shape[-1])).reshape(
            -1, out_h, out_w, outputs
        )
    return acc
