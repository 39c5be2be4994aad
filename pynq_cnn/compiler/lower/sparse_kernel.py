"""A lane for each image: weights that are not 0, one a cycle, for as many images as there are lanes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pynq_cnn.compiler.buffers import Buffer, View, ceil_div
from pynq_cnn.compiler.instructions import Flag, Unit
from pynq_cnn.compiler.lower.lane_kernel import Window, maximum
from pynq_cnn.compiler.lower.rule import Pool, Task
from pynq_cnn.compiler.packing import BYTE_BITS, BYTE_SHIFT, FIRST, LAST, ROW_BITS, ROW_SHIFT
from pynq_cnn.compiler.stage import Axis, Finish, Stage
from pynq_cnn.model import Conv2d

MOST_DENSITY = 0.25  # far above what pays


def sparse(layer: Conv2d, task: Task, finish: Finish, flags: Flag) -> tuple[Stage, ...]:
    """The stages that compute a convolution from its weights that are not 0, and its pooling; empty if it has too many,
    or the engine cannot.
    """
    kernel_h, kernel_w, channels = layer.weight.shape[1:]
    given, gives, hardware = task.given[0], task.gives, task.hardware
    if gives is None or flags or layer.skip is not None or (any(layer.padding) and len(set(task.pads)) > 1):
        return ()
    if np.count_nonzero(layer.weight) > MOST_DENSITY * layer.weight.size:
        return ()
    buffer, window = given.buffer, Window(layer.kernel, layer.stride, layer.dilation, layer.padding)
    row, column, channel = np.ogrid[:kernel_h, :kernel_w, :channels]
    if layer.kernel == (buffer.height, buffer.width) and not any(layer.padding) and layer.dilation == (1, 1):
        rows, in_rows, row_bytes = Axis(1), 1, buffer.height * buffer.row_pitch
        octets, row = row * buffer.row_pitch + column * buffer.pitch + channel, 0 * row
    else:
        rows = Axis(1, layer.stride[0], kernel=kernel_h, kernel_step=layer.dilation[0], first=-layer.padding[0])
        in_rows, row_bytes = buffer.height, buffer.width * buffer.pitch
        octets = column * layer.dilation[1] * buffer.pitch + channel
    if row.max() >= 1 << ROW_BITS or octets.max() >= 1 << BYTE_BITS:
        return ()
    places = (row << ROW_SHIFT | octets << BYTE_SHIFT) + 0 * channel
    entries = _entries(layer.weight.reshape(layer.outputs, -1), places.reshape(-1), hardware.pe)
    if max(map(len, entries)) > hardware.entries:
        return ()
    target = gives
    behind: tuple[Stage, ...] = ()
    if task.pool != Pool():
        height, width, _ = task.node.gives.shape
        target = View(Buffer.of(task.node.name, height, width, layer.outputs), 0, layer.outputs)
        pooling = Window(task.pool.size, task.pool.stride)
        behind = (maximum(task, pooling, target, gives),)
    rows = replace(rows, count=target.buffer.height)
    stride = layer.stride[1] * buffer.pitch
    stage = Stage(
        task.name, Unit.SPARSE, given, target, rows,
        Axis(target.buffer.width, stride, first=-window.padding[1] * buffer.pitch),
        in_rows, row_bytes, hardware.pe, layer.outputs, layer.outputs, target.buffer.pitch, finish=finish,
        entries=entries, pad_byte=task.pads[0],
    )  # fmt: skip
    return (stage, *behind)


def _entries(weight: np.ndarray, places: np.ndarray, pe: int) -> tuple[np.ndarray, ...]:
    """uint32 entries of each group of PE channels, of int8 weights [out, n] and what says where each is, int [n].

    Examples
    --------
    >>> [hex(one) for one in _entries(np.array([[0, -1], [0, 0]], np.int8), np.array([0, 5 << 14]), 16)[0]]
    ['0x143ff', '0x300']
    """
    groups = []
    for group in range(ceil_div(len(weight), pe)):
        some = weight[group * pe : (group + 1) * pe]
        held = some != 0
        held[~held.any(1), 0] = True
        channel, position = np.nonzero(held)
        words = places[position].astype(np.uint32) | some[channel, position].view(np.uint8)
        words[np.flatnonzero(np.diff(channel, prepend=-1))] |= FIRST
        words[np.flatnonzero(np.diff(channel, append=len(some)))] |= LAST
        groups.append(words)
    return tuple(groups)
