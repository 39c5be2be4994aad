"""Compiling: stages, tiles and constants at addresses in one flat memory."""

from __future__ import annotations

import numpy as np

from pynq_cnn.compiler.hardware import Hardware
from pynq_cnn.compiler.instructions import (
    FLAG_OUTPUT_INT32,
    FLAG_PAD_VECTOR,
    INSTRUCTION_WORDS,
    MAX_KERNEL,
    MAX_PAD_VECTORS,
    encode,
)
from pynq_cnn.compiler.packing import pack_pad, pack_parameters, pack_weights
from pynq_cnn.compiler.program import Program
from pynq_cnn.compiler.stages import Stage, lower
from pynq_cnn.compiler.tiling import tile_stage
from pynq_cnn.errors import ArgumentError, CompileError
from pynq_cnn.model import Network

MAX_WORDS = 2**32 - 1  # addresses are 32-bit fields


def _check_limits(stage: Stage) -> None:
    if max(stage.conv.kernel) > MAX_KERNEL:
        raise CompileError(f"{stage.name}: the kernel {stage.conv.kernel} is larger than {MAX_KERNEL} x {MAX_KERNEL}")
    if max(stage.in_shape + stage.out_shape) > 65535:
        raise CompileError(f"{stage.name}: {stage.in_shape} -> {stage.out_shape} has a size over 65535")
    if stage.pool_size > 1 and stage.int32:
        raise CompileError(f"{stage.name}: int32 results cannot be pooled")


def compile_network(network: Network, *, hardware: Hardware | None = None, capacity: int = 64) -> Program:
    """Compile a network for the accelerator.

    Parameters
    ----------
    network : Network
        What to compile.
    hardware : Hardware, optional
        The engine's sizes; those of `hls_src/` if not given.
    capacity : int
        Most images of one run, 1 to 65535. The activation buffers grow with it.

    Returns
    -------
    Program
        The memory image.

    Raises
    ------
    ArgumentError
        For another capacity.
    CompileError
        If a layer does not fit; names the layer and the limit.

    Examples
    --------
    >>> from pynq_cnn.model import Dense, InputSpec, OutputSpec
    >>> layer = Dense("fc", np.ones((2, 4), np.int8), np.zeros(2, np.int32))
    >>> output = OutputSpec(np.ones(2, np.float32), np.zeros(2, np.float32))
    >>> network = Network("tiny", InputSpec(2, 2, 1, "L", (0.0,), (1.0,)), (layer,), output, ("a", "b"))
    >>> program = compile_network(network, capacity=3)
    >>> program.instruction_names, program.memory_words  # 8 instruction + 16 parameter + 32 weight words, 3 * (1 in + 8 out)
    (('fc',), 83)
    """
    if isinstance(capacity, bool) or not isinstance(capacity, (int, np.integer)) or not 1 <= capacity <= 65535:
        raise ArgumentError(f"capacity must be an integer from 1 to 65535, not {capacity!r}")
    capacity = int(capacity)
    hardware = hardware or Hardware()
    stages = lower(network)
    for stage in stages:
        _check_limits(stage)
    tilings = [tile_stage(stage, hardware, capacity) for stage in stages]

    # Constants: instructions first, then each stage's parameters, weight tiles and pad vectors.
    blocks: list[np.ndarray] = []
    end = len(stages) * INSTRUCTION_WORDS

    def place(words: np.ndarray) -> int:
        nonlocal end
        blocks.append(words)
        address, end = end, end + len(words)
        return address

    fields = []
    for stage, tiling in zip(stages, tilings):
        conv = stage.conv
        flags = FLAG_OUTPUT_INT32 if stage.int32 else 0
        constants = {"param_addr": place(pack_parameters(conv, hardware)), "weight_addr": place(pack_weights(conv.weight, hardware))}
        if conv.pad_value is not None and any(conv.padding) and conv.pad_value.any():
            if tiling.chunks > MAX_PAD_VECTORS:
                most = MAX_PAD_VECTORS * hardware.simd
                raise CompileError(
                    f"{stage.name}: pad_value needs kernel_w * channels of at most {most}, not {conv.kernel[1] * stage.in_shape[2]}"
                )
            flags |= FLAG_PAD_VECTOR
            constants["pad_addr"] = place(pack_pad(conv.pad_value, conv.kernel[1], hardware))
        fields.append({"flags": flags, **constants})

    # Activations: two buffers in turn, each as large as the largest it must hold.
    strides = [tilings[0].in_stride] + [tiling.out_stride for tiling in tilings]
    sizes = [max(strides[parity::2]) * capacity for parity in (0, 1)]
    buffers = (end, end + sizes[0])
    memory_words = end + sum(sizes)
    if memory_words > MAX_WORDS:
        raise CompileError(f"{network.name} with {capacity} images needs {memory_words} words, more than {MAX_WORDS}; use a smaller batch")

    instructions = []
    for i, (stage, tiling) in enumerate(zip(stages, tilings)):
        conv = stage.conv
        instructions.append(
            encode(
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
                in_addr=buffers[i % 2],
                out_addr=buffers[(i + 1) % 2],
                in_stride=tiling.in_stride,
                out_stride=tiling.out_stride,
                **fields[i],
            )
        )
    image = np.concatenate(instructions + blocks).astype(np.uint64)
    image.flags.writeable = False
    return Program(
        constants=image,
        memory_words=memory_words,
        capacity=capacity,
        program=0,
        instructions=len(stages),
        instruction_names=tuple(stage.name for stage in stages),
        input_address=buffers[0],
        input_stride=tilings[0].in_stride,
        input_shape=network.input_shape,
        output_address=buffers[len(stages) % 2],
        output_stride=tilings[-1].out_stride,
        outputs=network.output.outputs,
        hardware=hardware,
    )
