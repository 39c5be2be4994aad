"""Addresses in the one flat memory of a Program, in 64-bit words (docs/contract/instruction-set.md, section 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pynq_cnn.compiler.packing import ceil_div
from pynq_cnn.compiler.program import Slot
from pynq_cnn.compiler.tiling import Tiling

LINE_WORDS = 8  # at least a line of the processor's cache: what host and engine write at the same time never shares one
SLOTS = 2  # batches that have a place: one that the engine works on, one that the host fills or empties


def _line(address: int) -> int:
    """The next address that starts a line."""
    return ceil_div(address, LINE_WORDS) * LINE_WORDS


class Constants:
    """Blocks of constant words, one behind the other.

    Parameters
    ----------
    start : int
        Address of the first.

    Examples
    --------
    >>> constants = Constants(16)
    >>> constants.place(np.zeros(3, np.uint64)), constants.place(np.zeros(1, np.uint64)), constants.end
    (16, 19, 20)
    """

    def __init__(self, start: int) -> None:
        self.blocks: list[np.ndarray] = []
        self.end = start

    def place(self, words: np.ndarray) -> int:
        """Add uint64 words; their address."""
        self.blocks.append(words)
        address, self.end = self.end, self.end + len(words)
        return address


@dataclass(frozen=True)
class Layout:
    """Where activations lie.

    Parameters
    ----------
    slots : tuple of Slot
        Places for a batch.
    buffers : tuple of int
        Addresses of the two buffers that pass activations from one stage to the next, in turn.
    words : int
        Length of the whole memory.
    """

    slots: tuple[Slot, Slot]
    buffers: tuple[int, int]
    words: int

    def edges(self, slot: Slot, stages: int) -> list[int]:
        """Addresses of the input of the first of so many stages, of what each passes on, and of the results of the
        last.
        """
        return [slot.input_address, *(self.buffers[i % 2] for i in range(stages - 1)), slot.output_address]


def lay_out(start: int, tilings: Sequence[Tiling], capacity: int, program_words: int) -> Layout:
    """Places for the activations of `capacity` images.

    Each slot has its results, and behind them its input: what the host writes before a run lies together. What passes
    between two stages takes one of two buffers in turn, each as large as the largest that it must hold.

    Parameters
    ----------
    start : int
        First address behind the constants.
    tilings : sequence of Tiling
        Of each stage.
    capacity : int
        Images.
    program_words : int
        Words that the instructions of a slot take.
    """
    strides = [tilings[0].in_stride] + [tiling.out_stride for tiling in tilings]
    slots = []
    end = _line(start)
    for number in range(SLOTS):
        input_address = end + strides[-1] * capacity
        slots.append(Slot(number * program_words, input_address, end))
        end = _line(input_address + strides[0] * capacity)
    sizes = [max(strides[1 + parity : -1 : 2], default=0) * capacity for parity in (0, 1)]
    return Layout((slots[0], slots[1]), (end, end + sizes[0]), end + sum(sizes))
