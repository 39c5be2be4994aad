"""An AXI interrupt controller whose registers are in shared memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pynq_cnn.virtual_board.embedded.bitfile import Block
from pynq_cnn.virtual_board.embedded.memory import SharedMemory
from pynq_cnn.virtual_board.registers import InterruptController


class _Word:
    """An attribute that is kept in a word of the registers."""

    def __init__(self, offset: int) -> None:
        self._index = offset // 4

    def __get__(self, owner: SharedController, kind: type) -> int:
        return int(owner.words[self._index])

    def __set__(self, owner: SharedController, value: int) -> None:
        owner.words[self._index] = value & 0xFFFF_FFFF


class SharedController(InterruptController):
    """The controller that processes share.

    Parameters
    ----------
    address : int
        Where its registers are.
    memory : SharedMemory
        Has them.
    signal : callable
        Called when the line to the processor rises.
    """

    _pending: Any = _Word(InterruptController.ISR)
    _enabled: Any = _Word(InterruptController.IER)
    _master: Any = _Word(InterruptController.MER)

    def __init__(self, address: int, memory: SharedMemory, signal: Callable[[], None] = lambda: None) -> None:
        self.words: np.ndarray = memory.physical(address, self.MER + 4).view("<u4")
        self._signal = signal  # and not the base's __init__, which would reset the registers


def is_controller(block: Block) -> bool:
    """Whether a block is one."""
    return block.type.startswith("xilinx.com:ip:axi_intc:")
