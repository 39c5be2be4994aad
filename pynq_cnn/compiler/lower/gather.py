"""Rows as channels: a convolution of few channels reads a few bytes of each row, where the engine has room for more.

A stage before it puts each pixel beside those below it: of a 3 x 3 kernel over one channel, the three rows that it sees
become three channels, and its nine weights one tap instead of three.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import gcd

import numpy as np

from pynq_cnn.compiler.buffers import Buffer, View, ceil_div
from pynq_cnn.compiler.lower.byte_kernel import Kernel
from pynq_cnn.compiler.packing import PARAMETERS
from pynq_cnn.compiler.stage import Finish

MORE_ROWS = 2  # than those that fill two vectors
MOST_OF_THE_MAPS = 4  # a gathered image takes at most one part in so many of the feature maps


@dataclass(frozen=True, eq=False)
class Gathered:
    """Two convolutions that together are one.

    Parameters
    ----------
    gather : Kernel
        Puts rows beside each other.
    between : View
        What it gives.
    kernel : Kernel
        The convolution of that.
    rows : int
        How many rows a pixel has.
    """

    gather: Kernel
    between: View
    kernel: Kernel
    rows: int


def unchanged(channels: int) -> Finish:
    """Bytes as they are: (a * 2 + 1) >> 1 = a."""
    parameters = np.zeros(channels, PARAMETERS)
    parameters["multiplier"], parameters["shift"] = 2, 1
    return Finish(parameters)


def gatherings(name: str, kernel: Kernel, given: View, outputs: int, most_bytes: int, simd: int) -> Iterator[Gathered]:
    """Ways to gather rows for a convolution that gives so many rows before its pooling."""
    out, kernel_h, kernel_w, channels = kernel.weight.shape
    reach = (kernel_w - 1) * kernel.dilation[1] * channels + channels
    for rows in range(2, min(kernel_h, 2 * simd // reach + MORE_ROWS) + 1):
        taps = ceil_div(kernel_h, rows)
        # Only rows that some tap looks at are gathered.
        step = gcd(kernel.stride[0], rows * kernel.dilation[0]) if taps > 1 else kernel.stride[0]
        stride, dilation = kernel.stride[0] // step, rows * kernel.dilation[0] // step if taps > 1 else 1
        height = (outputs - 1) * stride + (taps - 1) * dilation + 1
        buffer = Buffer.of(f"{name} gathered", height, given.buffer.width, rows * channels)
        if buffer.bytes > most_bytes // MOST_OF_THE_MAPS:
            continue
        select = np.zeros((rows, channels, rows, 1, channels), np.int8)
        for row in range(rows):
            select[row, :, row, 0, :] = np.eye(channels, dtype=np.int8)
        weight = np.zeros((out, taps * rows, kernel_w, channels), np.int8)
        weight[:, :kernel_h] = kernel.weight
        weight = weight.reshape(out, taps, rows, kernel_w, channels).transpose(0, 1, 3, 2, 4)
        yield Gathered(
            Kernel(
                select.reshape(rows * channels, rows, 1, channels), (step, 1), (kernel.dilation[0], 1),
                (kernel.first[0], 0), padded=True,
            ),
            View(buffer, 0, rows * channels),
            replace(
                kernel, weight=np.ascontiguousarray(weight).reshape(out, taps, kernel_w, rows * channels),
                stride=(stride, kernel.stride[1]), dilation=(dilation, kernel.dilation[1]), first=(0, kernel.first[1]),
            ),
            rows,
        )  # fmt: skip
