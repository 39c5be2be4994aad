"""Convolution of bits: a lane is a byte of them, and a group twice as many channels as one of bytes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from pynq_cnn.compiler.buffers import ceil_div
from pynq_cnn.compiler.instructions import Flag, Unit
from pynq_cnn.compiler.lower.rule import Task
from pynq_cnn.compiler.packing import pack_pads, pack_tiles
from pynq_cnn.compiler.stage import Axis, Finish, Stage
from pynq_cnn.model import BinaryConv2d


def convolve_bits(layer: BinaryConv2d, task: Task, finish: Finish, flags: Flag) -> Stage:
    """The stage of a convolution of bits.

    A pixel's last byte may have fewer than 8 channels. What is left of it is 0 in the input and in the weights, which
    counts as equal: taken from the bias where all taps are inside, counted right by pad vectors where they may not be.
    """
    given, gives, hardware, pool = task.given[0], task.gives, task.hardware, task.pool
    buffer, (kernel_h, kernel_w) = given.buffer, layer.kernel
    height, width = (1, 1) if gives is None else (gives.buffer.height, gives.buffer.width)
    if layer.threshold is None:
        flags |= Flag.HALF
    halves = 1 if flags & Flag.HALF else 2
    spare, padded = 8 * given.bytes - layer.channels, any(layer.padding)
    if spare and not padded:
        parameters = finish.parameters.copy()
        parameters["bias"] -= spare * kernel_h * kernel_w
        finish = replace(finish, parameters=parameters)
    octets = np.ascontiguousarray(layer.weight).view(np.uint8)[..., : given.bytes]
    whole = (kernel_h, kernel_w) == (buffer.height, buffer.width) and not padded and given.contiguous
    rows = Axis(height, layer.stride[0] * pool.stride[0], pool.size[0], layer.stride[0], kernel_h, 1, -layer.padding[0])
    taps, run, in_rows, row_bytes = kernel_w, given.bytes, buffer.height, buffer.width * buffer.pitch
    if given.contiguous:
        taps, run = 1, kernel_w * given.bytes
    if whole and buffer.row_pitch == run:
        rows, run, in_rows, row_bytes = Axis(1), kernel_h * run, 1, kernel_h * run
    lanes = octets.reshape(layer.outputs, rows.kernel, taps, run)
    counts = np.full(given.bytes, 8, np.uint8)
    counts[-1] -= spare
    pads = None
    if spare and padded:
        pads = pack_pads(np.tile(counts, run // given.bytes), taps, hardware.simd)
    step = layer.stride[1] * buffer.pitch
    chunks = ceil_div(run, hardware.simd)
    return Stage(
        task.name, Unit.BITS, given, gives, rows,
        Axis(width, step * pool.stride[1], pool.size[1], step, taps, buffer.pitch if taps > 1 else 0,
             -layer.padding[1] * buffer.pitch),
        in_rows, row_bytes, halves * hardware.pe, layer.outputs, layer.outputs,
        0 if gives is None else gives.buffer.pitch, chunks, finish, flags,
        partial(pack_tiles, lanes, hardware.pe, hardware.simd, halves), rows.kernel * taps * chunks * halves,
        pads=pads, tail_lanes=run - (chunks - 1) * hardware.simd,
    )  # fmt: skip
