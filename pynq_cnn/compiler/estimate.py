"""Estimated cycles of a stage, before anything has run (docs/contract/instruction-set.md, section 7).

The kernel counts the same in its loops while it runs; a test holds the two against each other. The driver derives its
deadlines from this.
"""

from __future__ import annotations

from pynq_cnn.compiler.hardware import Hardware
from pynq_cnn.compiler.instructions import INSTRUCTION_WORDS
from pynq_cnn.compiler.packing import ceil_div
from pynq_cnn.compiler.stage import Stage
from pynq_cnn.compiler.tiling import Tiling, input_rows, row_tiles

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
    image_tiles = ceil_div(images, tiling.tile_images)
    tiles = image_tiles * ceil_div(out_h, tiling.tile_rows)

    setup = FILL_BURST + FILL_SETUP + INSTRUCTION_WORDS + tiles * FILL_SETUP
    constants = tiling.groups * hardware.pe * (1 + taps * hardware.simd // WORD_BYTES)
    loads = 1 if passes == 1 else tiles  # weights that fit are loaded once
    load_weights = loads * (passes * 2 * FILL_BURST + constants) + (FILL_BURST + pad_words if pad_words else 0)
    bursts, words = _input_of_an_image(stage, tiling)
    # Tiles of several images load them in one burst each.
    load_input = (
        image_tiles * FILL_BURST + images * words if tiling.tile_images > 1 else images * (bursts * FILL_BURST + words)
    )
    pixels = images * out_h * out_w * stage.pool_size**2
    compute = tiles * passes * FILL_COMPUTE + pixels * tiling.groups * taps
    store = tiles * FILL_BURST + _stored_words(stage, tiling, images)
    return setup + load_weights + load_input + compute + store


def _input_of_an_image(stage: Stage, tiling: Tiling) -> tuple[int, int]:
    """Bursts and words that the input of one image takes: rows that neighbouring tiles share are loaded once."""
    if tiling.tile_images > 1:
        return 1, tiling.in_stride
    row_bytes = stage.in_shape[1] * stage.in_shape[2]
    bursts = words = loaded = 0
    for tile in row_tiles(stage, tiling.tile_rows):
        first, last = input_rows(stage, *tile)
        begin = max(loaded, first * row_bytes // WORD_BYTES)
        end = ceil_div(last * row_bytes, WORD_BYTES)
        if begin < end:
            bursts, words, loaded = bursts + 1, words + end - begin, end
    return bursts, words


def _stored_words(stage: Stage, tiling: Tiling, images: int) -> int:
    out_h, out_w, out_c = stage.out_shape
    if stage.int32 or tiling.tile_rows == out_h:
        return images * tiling.out_stride
    words = 0
    for row, rows in row_tiles(stage, tiling.tile_rows):
        first, last = row * out_w * out_c, (row + rows) * out_w * out_c
        words += ceil_div(last, WORD_BYTES) - first // WORD_BYTES
    return images * words
