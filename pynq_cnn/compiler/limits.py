"""Limits of an instruction, and of a stage on the chip."""

from __future__ import annotations

from pynq_cnn.compiler.hardware import Hardware
from pynq_cnn.compiler.instructions import Opcode, limits
from pynq_cnn.compiler.stage import Stage
from pynq_cnn.errors import CompileError

PAD_VECTORS = 64


def check_stage(stage: Stage, hardware: Hardware) -> None:
    """`CompileError` if the engine cannot run a stage; names the layer and the limit."""
    fault = fault_of(stage, hardware)
    if fault is not None:
        raise CompileError(f"{stage.name}: {fault}; use backend='cpu'")


def fault_of(stage: Stage, hardware: Hardware) -> str | None:
    """Why the engine cannot run a stage, not even an output row and a group of channels at a time; None if it can."""

    def most(field: str) -> int:
        return limits(Opcode.COMPUTE, field)[1]

    kernel = (stage.rows.kernel, stage.cols.kernel)
    if max(kernel) > most("kernel_rows"):
        return f"the kernel is worked on in {kernel[0]} rows and {kernel[1]} columns, of at most 255 each"
    if abs(stage.rows.first) > most("first_y"):
        return f"{-stage.rows.first} rows of padding are more than {most('first_y')}"
    for count, what, field in (
        (stage.channels, "output channels", "col_lanes"),
        (stage.rows.count, "output rows", "rows"),
        (stage.cols.count, "output columns", "cols"),
        (stage.in_rows, "rows", "in_rows"),
        (stage.chunks, f"pieces of {hardware.simd} bytes of a tap", "chunks"),
        (stage.iterations(stage.groups, sum(stage.entry_counts), 1), "cycles for a row", "iterations"),
    ):
        if count > most(field):
            return f"{count} {what}, more than {most(field)}"
    if stage.tiles_of_a_group > hardware.weight_tiles:
        return (
            f"{stage.width} output channels need {stage.tiles_of_a_group} weight tiles, of {hardware.weight_tiles} that"
            " the engine has; use a smaller kernel or fewer input channels"
        )
    if stage.pads is not None and len(stage.pads) > PAD_VECTORS:
        return (
            f"padding with a zero point for each channel, or with a part of a byte of bits, needs {len(stage.pads)} pad"
            f" vectors, of {PAD_VECTORS} that the engine has"
        )
    return None
