"""A lane for each channel: depthwise convolution, poolings and copies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pynq_cnn.compiler.buffers import View, ceil_div
from pynq_cnn.compiler.instructions import Flag, Unit
from pynq_cnn.compiler.lower.rule import Pool, Task
from pynq_cnn.compiler.packing import pack_pads
from pynq_cnn.compiler.stage import Axis, Finish, Stage


@dataclass(frozen=True)
class Window:
    """A window that slides over an image.

    Parameters
    ----------
    size, stride, dilation : tuple of int
        (vertical, horizontal).
    padding : tuple of int
        (top, left, bottom, right).
    pool : Pool
        The pooling behind it.
    """

    size: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    pool: Pool = Pool()


def lane_stage(name: str, unit: Unit, window: Window, given: View, gives: View | None, lanes: int) -> Stage:
    """A stage of so many lanes at once, one for each byte of a pixel."""
    buffer = given.buffer
    height, width = (1, 1) if gives is None else (gives.buffer.height, gives.buffer.width)
    stride, pool, dilation = window.stride, window.pool, window.dilation
    return Stage(
        name, unit, given, gives,
        Axis(height, stride[0] * pool.stride[0], pool.size[0], stride[0], window.size[0], dilation[0],
             -window.padding[0]),
        Axis(width, stride[1] * pool.stride[1] * buffer.pitch, pool.size[1], stride[1] * buffer.pitch, window.size[1],
             dilation[1] * buffer.pitch, -window.padding[1] * buffer.pitch),
        buffer.height, buffer.width * buffer.pitch, lanes, given.bytes, given.bytes,
        0 if gives is None else gives.buffer.pitch,
    )  # fmt: skip


def maximum(task: Task, window: Window, given: View, gives: View) -> Stage:
    """The largest byte of each channel in a window, or all its bits; of one pixel a copy."""
    return lane_stage(task.name, Unit.OR if given.bits else Unit.MAX, window, given, gives, task.hardware.lanes)


def depthwise(
    task: Task, window: Window, finish: Finish, flags: Flag, weight: np.ndarray | None = None
) -> tuple[Stage, ...]:
    """Sums over a window of each channel, of bytes or of bytes times int8 weights [out, kernel_h, kernel_w]."""
    lanes, skip = task.hardware.lanes, task.given[1] if len(task.given) > 1 else None
    vary = any(window.padding) and len(set(task.pads)) > 1

    def of(first: int, channels: int) -> Stage:
        given = task.given[0].part(first, channels)
        gives = None if task.gives is None else task.gives.part(first, channels)
        stage = lane_stage(task.name, Unit.DEPTHWISE, window, given, gives, lanes)
        pads = task.pads[first : first + channels]
        return replace(
            stage, flags=flags if weight is not None else flags | Flag.ONES,
            finish=replace(finish, parameters=finish.parameters[first : first + channels]),
            skip=None if skip is None else skip.part(first, channels),
            tiles=None if weight is None else partial(_tiles, weight[first : first + channels], lanes,
                                                      task.hardware.simd),
            tiles_of_a_group=0 if weight is None else window.size[0] * window.size[1],
            pads=pack_pads(np.array(pads, np.uint8), window.size[1], task.hardware.simd) if vary else None,
            pad_byte=0 if vary else pads[0],
        )  # fmt: skip

    channels = task.given[0].channels
    if vary and channels > lanes and task.gives is not None:  # pad vectors are the same for all groups of a stage
        return tuple(of(first, min(lanes, channels - first)) for first in range(0, channels, lanes))
    return (of(0, channels),)


def _tiles(weight: np.ndarray, lanes: int, simd: int) -> np.ndarray:
    """uint8 [groups, kernel_h * kernel_w, simd] of int8 [out, kernel_h, kernel_w]."""
    groups = ceil_div(len(weight), lanes)
    tiles = np.zeros((groups, weight.shape[1] * weight.shape[2], simd), np.uint8)
    padded = np.zeros((groups * lanes, tiles.shape[1]), np.uint8)
    padded[: len(weight)] = weight.reshape(len(weight), -1).view(np.uint8)
    tiles[:, :, :lanes] = padded.reshape(groups, lanes, -1).transpose(0, 2, 1)
    return tiles
