"""Estimated cycles, from the instructions alone (docs/contract/instruction-set.md, section 8).

The kernel counts the same in its loops while it runs; a test holds the two against each other. The driver derives its
deadlines from this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pynq_cnn.compiler.instructions import INSTRUCTION_WORDS, Instruction, Memory, Move, Opcode, Unit

PHASES = ("setup", "load_weights", "load_input", "compute", "store")
SETUP, LOAD_WEIGHTS, LOAD_INPUT, COMPUTE, STORE = range(len(PHASES))
BURST, INSTRUCTION, FILL, KERNEL_TABLE = 70, 40, 40, 16
FETCHED = 64  # instructions of a burst


@dataclass(frozen=True)
class Section:
    """A body of instructions, run for so many images at a time.

    Parameters
    ----------
    group : int
        Images of a turn.
    body : tuple of Instruction
        What is run.
    """

    group: int
    body: tuple[Instruction, ...]

    def turns(self, images: int) -> list[tuple[int, int]]:
        """How many turns work on how many images each.

        Examples
        --------
        >>> Section(16, ()).turns(40)
        [(2, 16), (1, 8)]
        """
        full, rest = divmod(images, self.group)
        return [(n, count) for n, count in ((full, self.group), (min(rest, 1), rest)) if n]


def moved(instruction: Instruction, images: int) -> tuple[int, int]:
    """Bursts and words of a LOAD or STORE, in a turn of so many images."""
    bursts, words = instruction["bursts"], instruction["words"]
    if instruction["flags"] & Move.MERGED:
        return 1, images * words
    each = images if instruction["flags"] & Move.PER_IMAGE else 1
    return each * bursts, each * bursts * words


def run_cycles(instruction: Instruction, images: int) -> tuple[int, int]:
    """Phase and cycles of an instruction of a body, run once, besides those that every instruction takes."""
    if instruction.opcode is Opcode.COMPUTE:
        if instruction["unit"] == Unit.SPARSE:
            return COMPUTE, KERNEL_TABLE + FILL + instruction["iterations"]
        return COMPUTE, FILL + images * instruction["iterations"]
    bursts, words = moved(instruction, images)
    constants = instruction["memory"] not in (Memory.FEATURES, Memory.RESULTS)
    phase = STORE if instruction.opcode is Opcode.STORE else LOAD_WEIGHTS if constants else LOAD_INPUT
    return phase, bursts * BURST + words


def fetch_cycles(section: Section, images: int) -> int:
    """Cycles that fetching a section takes, and its SECTION."""
    body, turns = len(section.body), sum(n for n, _ in section.turns(images))
    bursts = -(-body // FETCHED)
    once = bursts * BURST + body * INSTRUCTION_WORDS
    return INSTRUCTION + BURST + 1 + once * (turns if body > FETCHED else 1)


def section_cycles(section: Section, images: int) -> list[list[int]]:
    """Cycles by phase of the SECTION and of each instruction of its body, for a batch of so many images."""
    rows = [[0] * len(PHASES) for _ in range(1 + len(section.body))]
    rows[0][SETUP] = fetch_cycles(section, images)
    for times, count in section.turns(images):
        for row, instruction in zip(rows[1:], section.body):
            phase, cycles = run_cycles(instruction, count)
            row[SETUP] += times * INSTRUCTION
            row[phase] += times * cycles
    return rows


def total_cycles(sections: Sequence[Section], images: int) -> int:
    """Cycles of a batch."""
    total = 0
    for section in sections:
        total += fetch_cycles(section, images)
        for times, count in section.turns(images):
            total += times * sum(INSTRUCTION + run_cycles(one, count)[1] for one in section.body)
    return total
