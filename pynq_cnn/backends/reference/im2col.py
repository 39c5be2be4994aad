"""Windows over images, and convolution as one product of matrices."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pynq_cnn.backends.reference.exact_matrix import ExactMatrix
from pynq_cnn.model.layers.weighted import Convolution
from pynq_cnn.model.layers.window import Padding, Pair

COLUMN_BYTES = 4 << 20  # of im2col at once: what stays in a cache is worked on faster, and a board has little memory


def padded(images: np.ndarray, padding: Padding, outside: np.ndarray | int) -> np.ndarray:
    """Images [n, h, w, c] with pixels around them that have the values `outside`, [c] or one for all."""
    if not any(padding):
        return images
    n, height, width, channels = images.shape
    top, left, bottom, right = padding
    larger = np.empty((n, top + height + bottom, left + width + right, channels), images.dtype)
    larger[...] = outside
    larger[:, top : top + height, left : left + width] = images
    return larger


def windows_of(images: np.ndarray, size: Pair, stride: Pair = (1, 1), dilation: Pair = (1, 1)) -> np.ndarray:
    """Every window, [n, out_h, out_w, c, size_h, size_w], of [n, h, w, c] images, as a view."""
    covers = [(side - 1) * step + 1 for side, step in zip(size, dilation)]
    windows = sliding_window_view(images, (1, *covers, 1))[:, :: stride[0], :: stride[1], :, 0, :, :, 0]
    return windows[..., :: dilation[0], :: dilation[1]]


def im2col(images: np.ndarray, layer: Convolution) -> np.ndarray:
    """The window under every output pixel, [n, out_h, out_w, kernel_h * kernel_w * in], of padded [n, h, w, in]
    images.
    """
    windows = windows_of(images, layer.kernel, layer.stride, layer.dilation)
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(*windows.shape[:3], -1)


def convolve(images: np.ndarray, layer: Convolution, weight: ExactMatrix, outside: np.ndarray | int) -> np.ndarray:
    """int32 [n, out_h, out_w, out] sums of products of integers [n, h, w, in] (numerics, section 2), without the
    bias.

    Parameters
    ----------
    images : numpy.ndarray
        Integers of magnitude up to 255.
    layer : Convolution
        Says how the window slides. Of a group of channels, `weight` and `images` are that group's.
    weight : ExactMatrix
        Its weights.
    outside : numpy.ndarray or int
        What pixels outside the image are.
    """
    count = len(images)
    one = padded(images[:1], layer.padding, outside)
    out_h, out_w = windows_of(one, layer.kernel, layer.stride, layer.dilation).shape[1:3]
    outputs = weight.parts[0].shape[1]
    acc = np.empty((count, out_h, out_w, outputs), np.int32)
    column = out_h * out_w * sum(len(part) for part in weight.parts) * weight.parts[0].itemsize
    step = max(1, COLUMN_BYTES // column)
    for start in range(0, count, step):
        columns = im2col(padded(images[start : start + step], layer.padding, outside), layer)
        product = weight.product(columns.reshape(-1, columns.shape[-1]))
        acc[start : start + step] = product.reshape(-1, out_h, out_w, outputs)
    return acc
