"""Compiling: stages, their tiles, constants, places for activations, instructions."""

from __future__ import annotations

import numpy as np

from pynq_cnn.checks import integer
from pynq_cnn.compiler.encoding import check_limits, encode_stage, pad_vectors, place_constants
from pynq_cnn.compiler.estimate import stage_cycles
from pynq_cnn.compiler.hardware import Hardware
from pynq_cnn.compiler.instructions import INSTRUCTION_WORDS
from pynq_cnn.compiler.lower import lower
from pynq_cnn.compiler.memory import SLOTS, Constants, lay_out
from pynq_cnn.compiler.program import Program
from pynq_cnn.compiler.tiling import tile_stage
from pynq_cnn.errors import CompileError
from pynq_cnn.model import Network

MAX_WORDS = 2**32 - 1  # addresses are 32-bit fields


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
    >>> # 2 * 8 instruction, 16 parameter, 32 weight words, 2 * (3 * (1 in + 8 out) + 5)
    >>> program.instruction_names, program.memory_words
    (('fc',), 128)
    """
    capacity = integer("capacity", capacity, 1, 65535)
    hardware = hardware or Hardware()
    stages = lower(network)
    for stage in stages:
        check_limits(stage)
    tilings = [tile_stage(stage, hardware, capacity) for stage in stages]
    pads = [pad_vectors(stage, tiling, hardware) for stage, tiling in zip(stages, tilings)]
    cycles = [
        stage_cycles(stage, tiling, hardware, capacity, 0 if pad is None else len(pad))
        for stage, tiling, pad in zip(stages, tilings, pads)
    ]

    program_words = len(stages) * INSTRUCTION_WORDS
    constants = Constants(SLOTS * program_words)
    placed = [place_constants(stage, pad, hardware, constants) for stage, pad in zip(stages, pads)]
    layout = lay_out(constants.end, tilings, capacity, program_words)
    if layout.words > MAX_WORDS:
        raise CompileError(
            f"{network.name} with {capacity} images needs {layout.words} words, more than {MAX_WORDS}; use a smaller"
            " batch"
        )

    instructions = []
    for slot in layout.slots:
        edges = layout.edges(slot, len(stages))
        instructions += [encode_stage(*one) for one in zip(stages, tilings, placed, edges, edges[1:])]
    image = np.concatenate(instructions + constants.blocks).astype(np.uint64)
    image.flags.writeable = False
    return Program(
        constants=image,
        memory_words=layout.words,
        capacity=capacity,
        slots=layout.slots,
        instructions=len(stages),
        instruction_names=tuple(stage.name for stage in stages),
        input_stride=tilings[0].in_stride,
        input_shape=network.input_shape,
        output_stride=tilings[-1].out_stride,
        outputs=network.output.outputs,
        hardware=hardware,
        cycles=sum(cycles),
    )
