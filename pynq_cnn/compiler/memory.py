"""Places: on the chip by lifetimes, and in the one flat memory of a Program (docs/contract/instruction-set.md,
sections 1 and 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pynq_cnn.compiler.buffers import round_up
from pynq_cnn.compiler.program import Slot

LINE_WORDS = 8  # at least a line of the processor's cache: what host and engine write at the same time never shares one
SLOTS = 2  # batches that have a place: one that the engine works on, one that the host fills or empties


@dataclass(frozen=True)
class Life:
    """How much, and from when to when.

    Parameters
    ----------
    size : int
        Bytes or words.
    first, last : int
        Steps in which it is needed, both included.
    """

    size: int
    first: int
    last: int


def place(lives: Sequence[Life]) -> tuple[list[int], int]:
    """A place for each, and the size of the whole: what lives at the same time does not overlap.

    The largest are placed first, each as low as it can be.

    Examples
    --------
    >>> place([Life(4, 0, 1), Life(2, 1, 2), Life(3, 2, 3)])
    ([0, 4, 0], 6)
    """
    places = [0] * len(lives)
    done: list[int] = []
    for number in sorted(range(len(lives)), key=lambda n: (-lives[n].size, lives[n].first)):
        life, start = lives[number], 0
        for other in sorted(done, key=lambda n: places[n]):
            if lives[other].last < life.first or life.last < lives[other].first:
                continue
            if start + life.size <= places[other]:
                break
            start = max(start, places[other] + lives[other].size)
        places[number] = start
        done.append(number)
    return places, max((places[n] + lives[n].size for n in done), default=0)


class Constants:
    """Blocks of constant words, one behind the other, counted from the first.

    Examples
    --------
    >>> constants = Constants()
    >>> constants.add(np.zeros(3, np.uint64)), constants.add(np.zeros(1, np.uint64)), constants.words
    (0, 3, 4)
    """

    def __init__(self) -> None:
        self.blocks: list[np.ndarray] = []
        self.words = 0

    def add(self, words: np.ndarray) -> int:
        """Add uint64 words; where they are."""
        self.blocks.append(words)
        start, self.words = self.words, self.words + len(words)
        return start


INPUT_REGION, RESULTS_REGION, CONSTANTS_REGION = "input", "results", "constants"


@dataclass(frozen=True)
class Layout:
    """Where everything is in a Program's memory.

    Parameters
    ----------
    slots : tuple of Slot
        Places for a batch.
    regions : dict
        First word of all other regions.
    words : int
        Length of the whole memory.
    """

    slots: tuple[Slot, Slot]
    regions: dict[str, int]
    words: int

    def starts(self, slot: Slot) -> dict[str, int]:
        """First word of every region, as a slot's instructions see them."""
        return {**self.regions, INPUT_REGION: slot.input_address, RESULTS_REGION: slot.output_address}


def lay_out(
    program_words: int, constant_words: int, result_words: int, input_words: int, tensors: dict[str, Life]
) -> Layout:
    """Places in the memory.

    Each slot has its results, and behind them its input: what the host writes before a run lies together.

    Parameters
    ----------
    program_words : int
        Words that the instructions of a slot take.
    constant_words : int
        Of all constants.
    result_words, input_words : int
        Of a batch.
    tensors : dict
        Words of a batch's tensors that do not stay on the chip, and the sections that they live in.
    """
    start = SLOTS * program_words
    end, slots = round_up(start + constant_words, LINE_WORDS), []
    for number in range(SLOTS):
        input_address = end + result_words
        slots.append(Slot(number * program_words, input_address, end))
        end = round_up(input_address + input_words, LINE_WORDS)
    places, size = place([Life(round_up(one.size, LINE_WORDS), one.first, one.last) for one in tensors.values()])
    regions = {CONSTANTS_REGION: start, **{name: end + at for name, at in zip(tensors, places)}}
    return Layout((slots[0], slots[1]), regions, end + size)
