"""Convolution of bytes: a window's row is read as one run of bytes, and where output channels are few, neighbouring
columns are computed as channels of one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pynq_cnn.compiler.buffers import View, ceil_div
from pynq_cnn.compiler.hardware import Hardware
from pynq_cnn.compiler.instructions import Flag, Unit
from pynq_cnn.compiler.lower.rule import Pool
from pynq_cnn.compiler.packing import pack_pads, pack_tiles
from pynq_cnn.compiler.stage import Axis, Finish, Stage

MOST_TOGETHER = 64  # columns


@dataclass(frozen=True, eq=False)
class Kernel:
    """A convolution's weights, and how they slide.

    Parameters
    ----------
    weight : numpy.ndarray
        int8 [out, kernel_h, kernel_w, in].
    stride, dilation : tuple of int
        (vertical, horizontal).
    first : tuple of int
        (row, column) of the input that the first tap stands on: the padding on top and left, negative.
    padded : bool
        Whether any tap may stand outside.
    pool : Pool
        The pooling behind it.
    """

    weight: np.ndarray
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    first: tuple[int, int] = (0, 0)
    padded: bool = False
    pool: Pool = Pool()

    @property
    def step(self) -> tuple[int, int]:
        """Pixels of the input from one output behind the pooling to the next."""
        return self.stride[0] * self.pool.stride[0], self.stride[1] * self.pool.stride[1]

    def rows(self, count: int) -> Axis:
        """The rows of so many outputs."""
        return Axis(
            count,
            self.step[0],
            self.pool.size[0],
            self.stride[0],
            self.weight.shape[1],
            self.dilation[0],
            self.first[0],
        )


@dataclass(frozen=True)
class Columns:
    """How a row of the window is read.

    Parameters
    ----------
    together : int
        Output columns that are computed as one.
    taps : int
        Positions of the kernel along the row; 1 where they are read as one run of bytes.
    run : int
        Bytes of a position.
    """

    together: int
    taps: int
    run: int


def row_lanes(kernel: Kernel, pitch: int, columns: Columns) -> np.ndarray:
    """The factors of every lane, int8 [together * out, kernel_h, taps, run].

    Examples
    --------
    >>> kernel = Kernel(np.array([1, 2], np.int8).reshape(1, 1, 2, 1))
    >>> row_lanes(kernel, 1, Columns(2, 1, 3)).reshape(2, 3).tolist()
    [[1, 2, 0], [0, 1, 2]]
    """
    out, kernel_h, kernel_w, channels = kernel.weight.shape
    if columns.taps > 1:
        return kernel.weight
    lanes = np.zeros((columns.together, out, kernel_h, 1, columns.run), np.int8)
    for column in range(columns.together):
        for tap in range(kernel_w):
            start = (column * kernel.step[1] + tap * kernel.dilation[1]) * pitch
            lanes[column, :, :, 0, start : start + channels] = kernel.weight[:, :, tap]
    return lanes.reshape(columns.together * out, kernel_h, 1, columns.run)


def image_lanes(kernel: Kernel, pitch: int, row_pitch: int) -> np.ndarray:
    """The same of a kernel that is its whole input, int8 [out, 1, 1, bytes of the image]."""
    out, kernel_h, kernel_w, channels = kernel.weight.shape
    rows = np.zeros((out, kernel_h, row_pitch), np.int8)
    pixels = rows[:, :, : kernel_w * pitch].reshape(out, kernel_h, kernel_w, pitch)
    pixels[..., :channels] = kernel.weight
    rows[:, :, : kernel_w * pitch] = pixels.reshape(out, kernel_h, -1)
    return rows.reshape(out, 1, 1, -1)


def convolve(
    name: str,
    kernel: Kernel,
    given: View,
    gives: View | None,
    finish: Finish,
    flags: Flag,
    pads: tuple[int, ...],
    skip: View | None,
    hardware: Hardware,
    images: int,
) -> Stage:
    """The stage of a convolution.

    Parameters
    ----------
    name : str
        The layers'.
    kernel : Kernel
        Its weights.
    given, gives, skip
        Its input, its output (None for int32 results), and what is added.
    finish, flags
        What follows the accumulators.
    pads : tuple of int
        The byte of each input channel outside the image.
    hardware, images
        What it runs on, and how many images a batch has: it is written for the fewest cycles.
    """
    buffer, out = given.buffer, len(kernel.weight)
    height, width = (1, 1) if gives is None else (gives.buffer.height, gives.buffer.width)
    stage = Stage(
        name, Unit.BYTES, given, gives, kernel.rows(height), Axis(width), buffer.height, buffer.width * buffer.pitch,
        hardware.pe, out, out, 0 if gives is None else gives.buffer.pitch, finish=finish, flags=flags, skip=skip,
    )  # fmt: skip
    whole = kernel.weight.shape[1:3] == (buffer.height, buffer.width) and not kernel.padded
    if whole and (height, width) == (1, 1) and kernel.dilation == (1, 1) and kernel.pool.size == (1, 1):
        run = (buffer.height - 1) * buffer.row_pitch + buffer.width * buffer.pitch
        chunks = ceil_div(run, hardware.simd)
        lanes = partial(image_lanes, kernel, buffer.pitch, buffer.row_pitch)
        return replace(
            stage, rows=Axis(1), in_rows=1, row_bytes=buffer.height * buffer.row_pitch, chunks=chunks,
            tiles=partial(_tiles, lanes, hardware), tiles_of_a_group=chunks,
        )  # fmt: skip

    def cost(columns: Columns) -> int:
        found = laid_out(columns)
        return images * found.iterations(found.groups, 0, height) + found.groups * (
            found.tiles_of_a_group * hardware.words_of_a_tile()
        )

    def laid_out(columns: Columns) -> Stage:
        pitch, together = buffer.pitch, columns.together
        step, count = kernel.step[1] * pitch, ceil_div(width, together)
        chunks = ceil_div(columns.run, hardware.simd)
        cols = Axis(
            count, together * step, kernel.pool.size[1], kernel.stride[1] * pitch, columns.taps,
            kernel.dilation[1] * pitch if columns.taps > 1 else 0, kernel.first[1] * pitch,
        )  # fmt: skip
        vectors = None
        if kernel.padded and len(set(pads)) > 1:
            row = np.zeros(ceil_div(columns.run, pitch) * pitch, np.uint8).reshape(-1, pitch)
            row[:, : len(pads)] = pads
            vectors = pack_pads(row.reshape(-1)[: columns.run], columns.taps, hardware.simd)
        return replace(
            stage, cols=cols, channels=together * out, last_channels=(width - (count - 1) * together) * out,
            column_bytes=together * stage.column_bytes, chunks=chunks,
            finish=replace(finish, parameters=np.tile(finish.parameters, together)),
            tiles=partial(_tiles, partial(row_lanes, kernel, pitch, columns), hardware),
            tiles_of_a_group=kernel.weight.shape[1] * columns.taps * chunks, pads=vectors,
            pad_byte=pads[0] if vectors is None else 0,
        )  # fmt: skip

    return laid_out(min(_ways(kernel, stage, hardware), key=cost))


def _tiles(lanes: partial[np.ndarray], hardware: Hardware) -> np.ndarray:
    return pack_tiles(lanes(), hardware.pe, hardware.simd)


def _ways(kernel: Kernel, stage: Stage, hardware: Hardware) -> list[Columns]:
    """All ways to read a row of the window, the simplest first."""
    out, kernel_h, kernel_w, channels = kernel.weight.shape
    pitch, gives, width = stage.given.buffer.pitch, stage.gives, stage.cols.count
    reach = (kernel_w - 1) * kernel.dilation[1] * pitch + channels
    ways = [Columns(1, 1, reach)]
    if kernel_w > 1:
        ways.append(Columns(1, kernel_w, channels))
    bits_fit = not stage.flags & Flag.SIGN or out % 8 == 0
    if gives is not None and gives.contiguous and bits_fit and (stage.skip is None or stage.skip.contiguous):
        for together in range(2, min(width, MOST_TOGETHER) + 1):
            run = (together - 1) * kernel.step[1] * pitch + reach
            groups, chunks = ceil_div(together * out, hardware.pe), ceil_div(run, hardware.simd)
            if groups > hardware.parameter_groups or groups * kernel_h * chunks > hardware.weight_tiles:
                break
            ways.append(Columns(together, 1, run))
    return ways
