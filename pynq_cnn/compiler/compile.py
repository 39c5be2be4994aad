"""Compiling: steps, a schedule, constants, places in memory, instructions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pynq_cnn.checks import integer
from pynq_cnn.compiler.encoding import ConstantLoad
from pynq_cnn.compiler.estimate import Section
from pynq_cnn.compiler.hardware import Hardware
from pynq_cnn.compiler.instructions import INSTRUCTION_WORDS, Instruction, Opcode
from pynq_cnn.compiler.lower import lower
from pynq_cnn.compiler.memory import CONSTANTS_REGION, Constants, lay_out
from pynq_cnn.compiler.program import Program
from pynq_cnn.compiler.schedule import schedule
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
        Most images of one run, 1 to 65535. It is compiled for the fewest cycles of so many.

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
    >>> program.instruction_names
    ('', 'fc', 'fc', 'fc', 'fc', 'fc')
    """
    capacity = integer("capacity", capacity, 1, 65535)
    hardware = hardware or Hardware()
    steps = lower(network, hardware, capacity)
    plan = schedule(steps, steps[0].dense[0].given.buffer, hardware, capacity)
    constants, sections = _with_constants(plan.sections, hardware)
    instructions = [one for section in sections for one in _instructions(section)]
    last = steps[-1].dense[-1]
    output_stride = last.groups * hardware.pe // 2
    input_words = steps[0].dense[0].given.buffer.words
    layout = lay_out(
        len(instructions) * INSTRUCTION_WORDS, constants.words, output_stride * capacity, input_words * capacity,
        plan.tensors(capacity),
    )  # fmt: skip
    if layout.words > MAX_WORDS:
        raise CompileError(
            f"{network.name} with {capacity} images needs {layout.words} words, more than {MAX_WORDS}; use a smaller"
            " batch"
        )
    words = [one.encode(layout.starts(slot).get(one.region, 0)) for slot in layout.slots for one in instructions]
    image = np.concatenate(words + constants.blocks).astype(np.uint64)
    image.flags.writeable = False
    return Program(
        constants=image,
        memory_words=layout.words,
        capacity=capacity,
        slots=layout.slots,
        instructions=len(instructions),
        sections=len(sections),
        instruction_names=tuple(one.layer for one in instructions),
        input_stride=input_words,
        input_shape=network.input_shape,
        output_stride=output_stride,
        outputs=network.output.outputs,
        hardware=hardware,
        cycles=plan.cycles,
    )


def _instructions(section: Section) -> list[Instruction]:
    """A SECTION and its body."""
    return [Instruction(Opcode.SECTION, {"body": len(section.body), "group": section.group}), *section.body]


def _with_constants(sections: Sequence[Section], hardware: Hardware) -> tuple[Constants, list[Section]]:
    """The constants of all sections, packed, and the sections with their addresses; what several load is there once."""
    constants, known = Constants(), {}
    done = []
    for section in sections:
        body = []
        for one in section.body:
            if one.region == CONSTANTS_REGION:
                assert isinstance(one, ConstantLoad)
                key = one["memory"], *((id(part.stage), part.first, part.groups) for part in one.passes)
                if key not in known:
                    known[key] = constants.add(one.pack(hardware))
                one = replace(one, fields={**one.fields, "address": known[key]})
            body.append(one)
        done.append(replace(section, body=tuple(body)))
    return constants, done
