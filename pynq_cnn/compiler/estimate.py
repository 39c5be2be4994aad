"""Estimated cycles of a stage, before anything has run (docs/instruction-set.md, section 7).

The kernel counts the same in its loops while it runs; a test holds the two against each other. The driver derives its deadlines from this.
"""

from __future__ import annotations

from pynq_cnn.compiler.hardware import Hardware
from pynq_cnn.compiler.instructions import INSTRUCTION_WORDS
from pynq_cnn.compiler.packing import ceil_div
from pynq_cnn.compiler.stages import Stage
from pynq_cnn.compiler.tiling import Tiling

WORD_BYTES = 8
# Cycles from the start of a loop to its first result, as hls_src/platform.hpp assumes them.
FILL_BURST, FILL_COMPUTE, FILL_SETUP = 40, 24, 24


def stage_cycles(stage: Stage, tiling: Tiling, hardware: Hardware, images: int, pad_words: int = 0) -> int:
    """Cycles that one stage takes for a batch.

    Parameters
    ----------
    stage, tiling
        The stage and how it is cut.
    hardware : Hardware
        What it runs on.
    images : int
        Images of the batch.
    pad_words : int
        64-bit words of the stage's pad vectors, 0 for none.

    Returns
    -------
    int
        An estimate: initiation intervals as the loops are written for, and a memory that keeps up.
    """
    out_h, out_w, _ = stage.out_shape
    taps = stage.conv.kernel[0] * tiling.chunks
    passes = ceil_div(tiling.groups, tiling.groups_per_pass)
    image_tiles, row_tiles = ceil_div(images, tiling.tile_images), ceil_div(out_h, tiling.tile_rows)
    tiles = image_tiles * row_tiles

    setup = FILL_BURST + FILL_SETUP + INSTRUCTION_WORDS + tiles * FILL_SETUP
    constants = tiling.groups * hardware.pe * (1 + taps * hardware.simd // WORD_BYTES)
    loads = 1 if passes == 1 else tiles  # weights that fit are loaded once
    load_weights = loads * (passes * 2 * FILL_BURST + constants) + (FILL_BURST + pad_words if pad_words else 0)
    bursts, words = _input_of_an_image(stage, tiling)
    # Tiles of whole images load their images in one burst each.
    load_input = image_tiles * FILL_BURST + images * words if row_tiles == 1 else images * (bursts * FILL_BURST + words)
    pixels = images * out_h * out_w * stage.pool_size**2
    compute = tiles * passes * FILL_COMPUTE + pixels * tiling.groups * taps
    store = tiles * FILL_BURST + _stored_words(stage, tiling, images)
    return setup + load_weights + load_input + compute + store


def _row_tiles(stage: Stage, tiling: Tiling) -> list[tuple[int, int]]:
    """First output row of each tile of an image, and how many it has."""
    out_h = stage.out_shape[0]
    return [(row, min(tiling.tile_rows, out_h - row)) for row in range(0, out_h, tiling.tile_rows)]


def _input_of_an_image(stage: Stage, tiling: Tiling) -> tuple[int, int]:
    """Bursts and words that the input of one image takes: rows that neighbouring tiles share are loaded once."""
    if tiling.tile_rows == stage.out_shape[0]:
        return 1, tiling.in_stride
    in_h, in_w, in_c = stage.in_shape
    stride, pad, kernel = stage.conv.stride[0], stage.conv.padding[0], stage.conv.kernel[0]
    bursts = words = loaded = 0
    for row, rows in _row_tiles(stage, tiling):
        first = max(0, row * stage.pool_stride * stride - pad)
        conv_rows = (rows - 1) * stage.pool_stride + stage.pool_size
        last = min(in_h, row * stage.pool_stride * stride + (conv_rows - 1) * stride + kernel - pad)
        begin = max(loaded, first * in_w * in_c // WORD_BYTES)
        end = ceil_div(max(last, 0) * in_w * in_c, WORD_BYTES)
        if begin < end:
            bursts, words, loaded = bursts + 1, words + end - begin, end
    return bursts, words


def _stored_words(stage: Stage, tiling: Tiling, images: int) -> int:
    out_h, out_w, out_c = stage.out_shape
    if stage.int32 or tiling.tile_rows == out_h:
        return images * tiling.out_stride
    words = 0
    for row, rows in _row_tiles(stage, tiling):
        first, last = row * out_w * out_c, (row + rows) * out_w * out_c
        words += ceil_div(last, WORD_BYTES) - first // WORD_BYTES
    return images * words
