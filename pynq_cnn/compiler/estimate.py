"""Estimated cycles and traffic, from the instructions alone (docs/contract/instruction-set.md, section 8).

The kernel counts the same in its loops while it runs; a test holds the two against each other. The driver derives its
deadlines from this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pynq_cnn.compiler.buffers import WORD_BYTES
from pynq_cnn.compiler.instructions import INSTRUCTION_WORDS, Instruction, Memory, Move, Opcode, Unit

PHASES = ("setup", "load_weights", "load_input", "compute", "store")
SETUP, LOAD_WEIGHTS, LOAD_INPUT, COMPUTE, STORE = range(len(PHASES))
BURST, INSTRUCTION, FILL, KERNEL_TABLE = 70, 40, 40, 16
PER_IMAGE, MERGED = int(Move.PER_IMAGE), int(Move.MERGED)  # plain numbers: enumerations are slow
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
    if instruction["flags"] & MERGED:
        return 1, images * words
    each = images if instruction["flags"] & PER_IMAGE else 1
    return each * bursts, each * bursts * words


def run_cycles(instruction: Instruction, images: int) -> tuple[int, int]:
    """Phase and cycles of an instruction of a body, run once, besides those that every instruction takes."""
    if instruction.opcode is Opcode.COMPUTE:
        if instruction["unit"] == Unit.SPARSE:
            return COMPUTE, FILL + KERNEL_TABLE + instruction["iterations"]
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


def sections_of(instructions: Sequence[Instruction]) -> list[Section]:
    """A Program's instructions as sections."""
    sections, at = [], 0
    while at < len(instructions):
        head = instructions[at]
        body = tuple(instructions[at + 1 : at + 1 + head["body"]])
        sections.append(Section(head["group"], body))
        at += 1 + len(body)
    return sections


@dataclass(frozen=True)
class Cost:
    """Cycles and traffic of an instruction, or a layer, for a batch.

    Parameters
    ----------
    layer : str
        Its name; empty for what belongs to none.
    cycles : tuple of int
        By phase.
    traffic : int
        Bytes between the engine and the memory, instructions included.
    """

    layer: str
    cycles: tuple[int, ...]
    traffic: int

    @property
    def total(self) -> int:
        """All cycles."""
        return sum(self.cycles)

    @property
    def bound(self) -> str:
        """Whether it computes for longer than it moves, loads and stores."""
        return "compute" if 2 * self.cycles[COMPUTE] >= self.total else "memory"


def instruction_costs(instructions: Sequence[Instruction], images: int) -> list[Cost]:
    """Cycles and traffic of each instruction for a batch of so many images; of a SECTION, of fetching its body."""
    costs = []
    for section in sections_of(instructions):
        turns, body = section.turns(images), section.body
        fetches = sum(n for n, _ in turns) if len(body) > FETCHED else 1
        traffic = [(1 + fetches * len(body) * INSTRUCTION_WORDS) * WORD_BYTES]
        for one in body:
            moves = 0 if one.opcode is Opcode.COMPUTE else sum(n * moved(one, count)[1] for n, count in turns)
            traffic.append(moves * WORD_BYTES)
        names = ["", *(one.layer for one in body)]
        rows = section_cycles(section, images)
        costs += [Cost(name, tuple(row), octets) for name, row, octets in zip(names, rows, traffic)]
    return costs


def layer_costs(costs: Sequence[Cost]) -> list[Cost]:
    """The same by layer, in the order in which they are computed; what belongs to several layers, or to none, is the
    first, without a name.
    """
    found: dict[str, list[Cost]] = {"": []}
    for one in sorted(costs, key=lambda cost: cost.cycles[COMPUTE] == 0):  # those that compute first
        found.setdefault("" if ", " in one.layer else one.layer, []).append(one)
    return [
        Cost(name, tuple(map(sum, zip(*(one.cycles for one in some)))), sum(one.traffic for one in some))
        for name, some in found.items()
    ]
