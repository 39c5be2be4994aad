"""Compiling: stages, tiles and constants at addresses in one flat memory."""

from __future__ import annotations

import numpy as np

from pynq_cnn.compiler.estimate import stage_cycles
from pynq_cnn.compiler.hardware import Hardware
from pynq_cnn.compiler.instructions import (
    FLAG_OUTPUT_INT32,
    FLAG_PAD_VECTOR,
    INSTRUCTION_WORDS,
    MAX_KERNEL,
    MAX_PAD_VECTORS,
    encode,
)
from pynq_cnn.compiler.lower import lower
from pynq_cnn.compiler.packing import ceil_div, pack_pad, pack_parameters, pack_weights
from pynq_cnn.compiler.program import Program, Slot
from pynq_cnn.compiler.stage import Stage
from pynq_cnn.compiler.tiling import tile_stage
from pynq_cnn.errors import ArgumentError, CompileError
from pynq_cnn.model import Network

MAX_WORDS = 2**32 - 1  # addresses are 32-bit fields
LINE_WORDS = 8  # at least a line of the processor's cache: what host and engine write at the same time never shares one
SLOTS = 2  # batches that have a place: one that the engine works on, one that the host fills or empties


def _line(address: int) -> int:
    """The next address that starts a line."""
    return ceil_div(address, LINE_WORDS) * LINE_WORDS


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
    >>> program.instruction_names, program.memory_words  # 2 * 8 instruction, 16 parameter, 32 weight words, 2 * (3 * (1 in + 8 out) + 5)
    (('fc',), 128)
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
    end = SLOTS * len(stages) * INSTRUCTION_WORDS

    def place(words: np.ndarray) -> int:
        nonlocal end
        blocks.append(words)
        address, end = end, end + len(words)
        return address

    fields, cycles = [], 0
    for stage, tiling in zip(stages, tilings):
        conv, pad_words = stage.conv, 0
        flags = FLAG_OUTPUT_INT32 if stage.int32 else 0
        constants = {"param_addr": place(pack_parameters(conv, hardware)), "weight_addr": place(pack_weights(conv.weight, hardware))}
        if conv.pad_value is not None and any(conv.padding) and conv.pad_value.any():
            if tiling.chunks > MAX_PAD_VECTORS:
                most = MAX_PAD_VECTORS * hardware.simd
                raise CompileError(
                    f"{stage.name}: pad_value needs kernel_w * channels of at most {most}, not {conv.kernel[1] * stage.in_shape[2]}"
                )
            flags |= FLAG_PAD_VECTOR
            pad = pack_pad(conv.pad_value, conv.kernel[1], hardware)
            pad_words, constants["pad_addr"] = len(pad), place(pad)
        fields.append({"flags": flags, **constants})
        cycles += stage_cycles(stage, tiling, hardware, capacity, pad_words)

    # Activations. Each slot has its results, and behind them its input: what the host writes before a run lies together.
    # What passes between two stages takes one of two buffers in turn, each as large as the largest that it must hold.
    strides = [tilings[0].in_stride] + [tiling.out_stride for tiling in tilings]
    slots = []
    end = _line(end)
    for number in range(SLOTS):
        input_address = end + strides[-1] * capacity
        slots.append(Slot(number * len(stages) * INSTRUCTION_WORDS, input_address, end))
        end = _line(input_address + strides[0] * capacity)
    sizes = [max(strides[1 + parity : -1 : 2], default=0) * capacity for parity in (0, 1)]
    buffers = (end, end + sizes[0])
    memory_words = end + sum(sizes)
    if memory_words > MAX_WORDS:
        raise CompileError(f"{network.name} with {capacity} images needs {memory_words} words, more than {MAX_WORDS}; use a smaller batch")

    instructions = []
    for slot in slots:
        addresses = [slot.input_address, *(buffers[i % 2] for i in range(len(stages) - 1)), slot.output_address]
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
                    in_addr=addresses[i],
                    out_addr=addresses[i + 1],
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
        slots=(slots[0], slots[1]),
        instructions=len(stages),
        instruction_names=tuple(stage.name for stage in stages),
        input_stride=tilings[0].in_stride,
        input_shape=network.input_shape,
        output_stride=tilings[-1].out_stride,
        outputs=network.output.outputs,
        hardware=hardware,
        cycles=cycles,
    )
