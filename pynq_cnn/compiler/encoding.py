"""A stage as an instruction, with the constants that it needs (docs/contract/instruction-set.md, sections 2 and 3)."""

from __future__ import annotations

import numpy as np

from pynq_cnn.compiler.hardware import Hardware
from pynq_cnn.compiler.instructions import FLAG_OUTPUT_INT32, FLAG_PAD_VECTOR, MAX_KERNEL, MAX_PAD_VECTORS, encode
from pynq_cnn.compiler.memory import Constants
from pynq_cnn.compiler.packing import pack_pad, pack_parameters, pack_weights
from pynq_cnn.compiler.stage import Stage
from pynq_cnn.compiler.tiling import Tiling
from pynq_cnn.errors import CompileError


def check_limits(stage: Stage) -> None:
    """See that an instruction can say what a stage does; `CompileError` if not."""
    if max(stage.conv.kernel) > MAX_KERNEL:
        raise CompileError(f"{stage.name}: the kernel {stage.conv.kernel} is larger than {MAX_KERNEL} x {MAX_KERNEL}")
    if max(stage.in_shape + stage.out_shape) > 65535:
        raise CompileError(f"{stage.name}: {stage.in_shape} -> {stage.out_shape} has a size over 65535")
    if stage.pool_size > 1 and stage.int32:
        raise CompileError(f"{stage.name}: int32 results cannot be pooled")


def pad_vectors(stage: Stage, tiling: Tiling, hardware: Hardware) -> np.ndarray | None:
    """The pad vectors of a stage that pads with another byte than 0; `CompileError` if the engine cannot hold them."""
    conv = stage.conv
    if not any(conv.padding) or not any(stage.pad):
        return None
    if tiling.chunks > MAX_PAD_VECTORS:
        most = MAX_PAD_VECTORS * hardware.simd
        raise CompileError(
            f"{stage.name}: padding with a zero point needs kernel_w * channels of at most {most}, not"
            f" {conv.kernel[1] * stage.in_shape[2]}"
        )
    return pack_pad(np.array(stage.pad, np.uint8), conv.kernel[1], hardware)


def place_constants(stage: Stage, pad: np.ndarray | None, hardware: Hardware, constants: Constants) -> dict[str, int]:
    """Place a stage's parameters, weight tiles and pad vectors: the instruction's fields that say where they are."""
    fields = {
        "flags": FLAG_OUTPUT_INT32 if stage.int32 else 0,
        "param_addr": constants.place(pack_parameters(stage.conv, hardware)),
        "weight_addr": constants.place(pack_weights(stage.conv.weight, hardware)),
    }
    if pad is not None:
        fields["flags"] |= FLAG_PAD_VECTOR
        fields["pad_addr"] = constants.place(pad)
    return fields


def encode_stage(stage: Stage, tiling: Tiling, constants: dict[str, int], in_addr: int, out_addr: int) -> np.ndarray:
    """The instruction of a stage, uint64 [8].

    Parameters
    ----------
    stage, tiling
        The stage and how it is cut.
    constants : dict
        From `place_constants`.
    in_addr, out_addr : int
        Where image 0 of its input is, and of what it gives.
    """
    conv = stage.conv
    return encode(
        kernel_h=conv.kernel[0],
        kernel_w=conv.kernel[1],
        stride_h=conv.stride[0],
        stride_w=conv.stride[1],
        pad_h=conv.padding[0],
        pad_w=conv.padding[1],
        in_h=stage.in_shape[0],
        in_w=stage.in_shape[1],
        in_c=stage.in_shape[2],
        out_h=stage.out_shape[0],
        out_w=stage.out_shape[1],
        out_c=stage.out_shape[2],
        pool_size=stage.pool_size,
        pool_stride=stage.pool_stride,
        groups_per_pass=tiling.groups_per_pass,
        tile_images=tiling.tile_images,
        tile_rows=tiling.tile_rows,
        chunks=tiling.chunks,
        in_addr=in_addr,
        out_addr=out_addr,
        in_stride=tiling.in_stride,
        out_stride=tiling.out_stride,
        **constants,
    )
