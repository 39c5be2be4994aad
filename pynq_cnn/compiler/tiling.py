"""Cutting a stage into tiles that fit the on-chip buffers (docs/contract/instruction-set.md, section 6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pynq_cnn.compiler.hardware import Hardware
from pynq_cnn.compiler.packing import ceil_div
from pynq_cnn.compiler.stage import Stage
from pynq_cnn.errors import CompileError

SLACK = 32  # bytes that a tile leaves free in a buffer


@dataclass(frozen=True)
class Tiling:
    """How a stage is cut up, and how its activations lie in memory.

    Parameters
    ----------
    groups : int
        Output-channel groups of `pe` channels.
    chunks : int
        Weight tiles of one window row.
    groups_per_pass : int
        Groups whose weights are on chip together.
    tile_images, tile_rows : int
        Images, and output rows of each, worked on at once.
    in_stride, out_stride : int
        64-bit words from one image to the next.
    """

    groups: int
    chunks: int
    groups_per_pass: int
    tile_images: int
    tile_rows: int
    in_stride: int
    out_stride: int


def tile_stage(stage: Stage, hardware: Hardware, capacity: int) -> Tiling:
    """Choose the largest tiles: all rows of one image or more where what they read and give fits, else what rows fit.

    Raises
    ------
    CompileError
        If not even one output row, or not one group's weights, fit.
    """
    kernel_h, kernel_w = stage.conv.kernel
    in_h, in_w, in_c = stage.in_shape
    out_h, out_w, out_c = stage.out_shape
    groups, chunks = ceil_div(out_c, hardware.pe), ceil_div(kernel_w * in_c, hardware.simd)
    taps = kernel_h * chunks
    if taps > hardware.weight_tiles:
        raise CompileError(
            f"{stage.name}: a window of {kernel_h} x {kernel_w} x {in_c} needs {taps} weight tiles, the engine holds"
            f" {hardware.weight_tiles}; use at most about {hardware.weight_tiles * hardware.simd} inputs per output"
        )
    groups_per_pass = min(groups, hardware.weight_tiles // taps, hardware.parameter_groups)

    int32 = stage.int32
    in_stride = ceil_div(in_h * in_w * in_c, 8)
    out_stride = out_h * out_w * groups * hardware.pe * 4 // 8 if int32 else ceil_div(out_h * out_w * out_c, 8)

    def fits(in_bytes: int, out_bytes: int, pixels: int) -> bool:
        out_fits = (
            pixels * groups <= hardware.accumulator_entries if int32 else out_bytes + SLACK <= hardware.output_bytes
        )
        return out_fits and in_bytes + SLACK <= hardware.input_bytes

    def images_fit(images: int) -> bool:
        return fits(images * in_stride * 8, images * out_stride * 8, images * out_h * out_w)

    def rows_fit(rows: int) -> bool:
        return fits(_most_input_rows(stage, rows) * in_w * in_c, rows * out_w * out_c, rows * out_w)

    if rows_fit(out_h):
        tile_images, tile_rows = _largest(images_fit, capacity), out_h
    elif rows_fit(1):  # a tile of more rows reads at least what each of them does
        tile_images, tile_rows = 1, _largest(rows_fit, out_h - 1)
    else:
        raise CompileError(
            f"{stage.name}: one output row of {stage.in_shape} -> {stage.out_shape} does not fit the on-chip buffers"
            f" ({hardware.input_bytes} bytes in, {hardware.output_bytes} out, {hardware.accumulator_entries}"
            " accumulator entries); use a smaller image or fewer channels"
        )
    return Tiling(groups, chunks, groups_per_pass, tile_images, tile_rows, in_stride, out_stride)


def input_rows(stage: Stage, row: int, rows: int) -> tuple[int, int]:
    """First row of the image that the output rows [row, row + rows) read, and the one behind the last; none of
    padding.
    """
    kernel_h, stride, pad = stage.conv.kernel[0], stage.conv.stride[0], stage.conv.padding[0]
    first = row * stage.pool_stride * stride - pad
    conv_rows = (rows - 1) * stage.pool_stride + stage.pool_size
    return max(0, first), min(stage.in_shape[0], first + (conv_rows - 1) * stride + kernel_h)


def row_tiles(stage: Stage, rows: int) -> list[tuple[int, int]]:
    """First output row of each tile of `rows` rows of an image, and how many it has."""
    out_h = stage.out_shape[0]
    return [(row, min(rows, out_h - row)) for row in range(0, out_h, rows)]


def _most_input_rows(stage: Stage, rows: int) -> int:
    """Most rows of the image that a tile of `rows` output rows reads."""
    return max(last - first for first, last in (input_rows(stage, *tile) for tile in row_tiles(stage, rows)))


def _largest(fits: Callable[[int], bool], limit: int) -> int:
    """The largest n from 1 to `limit` with `fits(n)`, which is true for 1; by halving, as if true up to n and false
    above.
    """
    low, high = 1, limit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
