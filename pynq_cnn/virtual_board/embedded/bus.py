"""The bus behind mapped physical memory: registers that do something when they are read or written."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import numpy as np

from pynq_cnn.backends.overlay.design import ENGINE_TYPE
from pynq_cnn.virtual_board.embedded.bitfile import Block
from pynq_cnn.virtual_board.embedded.controller import SharedController, is_controller
from pynq_cnn.virtual_board.embedded.logic import Logic
from pynq_cnn.virtual_board.embedded.memory import SharedMemory
from pynq_cnn.virtual_board.registers import AP_DONE, AP_READY, AP_START

LOGIC = range(0x4000_0000, 0xC000_0000)  # M_AXI_GP0 and M_AXI_GP1


class Bus:
    """How reads and writes of the processor reach registers in the programmable logic.

    An engine's registers are as Vitis HLS makes them (see `registers.KernelRegisters`), others keep what is written.

    Parameters
    ----------
    logic : Logic
        The programmable logic, whose registers answer.
    memory : SharedMemory
        Where the registers are.
    """

    def __init__(self, logic: Logic, memory: SharedMemory) -> None:
        self._logic = logic
        self._memory = memory
        self._stamp: object = None
        self._blocks: list[Block] = []

    def read(self, words: np.ndarray, address: int) -> int:
        """The value of `words[0]`, which is at the physical `address`; `OSError` if nothing answers there."""
        value = int(words[0])
        name, block = self._find(address)
        if block is not None and is_controller(block):
            return SharedController(block.address, self._memory).read(address - block.address)
        if name == "CTRL" and not value & AP_START:
            words[0] = value & ~(AP_DONE | AP_READY)
        elif name.endswith("_ctrl"):
            words[0] = 0
        return value

    def write(self, words: np.ndarray, address: int, value: int) -> None:
        """Write `value` to `words[0]`, which is at the physical `address`; `OSError` if nothing answers there."""
        name, block = self._find(address)
        if block is None:
            words[0] = value
        elif is_controller(block):
            SharedController(block.address, self._memory).write(address - block.address, value)
        elif name == "CTRL":
            if value & AP_START and not words[0] & AP_START:
                words[0] = AP_START
        elif name == "IP_ISR":
            words[0] ^= value & 3
        elif name in ("GIER", "IP_IER"):
            words[0] = value & (1 if name == "GIER" else 3)
        elif name and not name.endswith("_ctrl") and f"{name}_ctrl" not in block.registers:
            words[0] = value  # an input; outputs, and offsets that hold nothing, stay as they are

    def _find(self, address: int) -> tuple[str, Block | None]:
        """Name of an engine's register, and the block of an engine or interrupt controller; ("", None) for plain
        memory.
        """
        if address not in LOGIC:
            return "", None
        if self._logic.stamp() != self._stamp:
            self._stamp, self._blocks = self._logic.design()
        for block in self._blocks:
            if block.address <= address < block.address + block.nbytes:
                if is_controller(block):
                    return "", block
                if not block.type.startswith(f"{ENGINE_TYPE}:"):
                    return "", None
                offset = address - block.address
                return next((name for name, at in block.registers.items() if at == offset), ""), block
        raise OSError(errno.EFAULT, f"Bus error: nothing answers at {address:#x}")


class MappedWords(np.ndarray):
    """An array on mapped physical memory; single elements of it, and of its views, are read and written through a
    `Bus`.
    """

    bus: Bus | None = None
    origin: tuple[int, int] = (0, 0)  # where the mapping begins: in this process, and physically

    def __array_finalize__(self, parent: Any) -> None:
        self.bus = getattr(parent, "bus", None)
        self.origin = getattr(parent, "origin", (0, 0))

    def __getitem__(self, index: Any) -> Any:
        if self.bus is None or not isinstance(index, (int, np.integer)):
            return super().__getitem__(index)
        words, address = self._words(int(index))
        return self.dtype.type(sum(self.bus.read(words[i:], address + 4 * i) << 32 * i for i in range(len(words))))

    def __setitem__(self, index: Any, value: Any) -> None:
        if self.bus is None or not isinstance(index, (int, np.integer)):
            super().__setitem__(index, value)
            return
        words, address = self._words(int(index))
        for i in range(len(words)):
            self.bus.write(words[i:], address + 4 * i, int(value) >> 32 * i & 0xFFFF_FFFF)

    def _words(self, index: int) -> tuple[np.ndarray, int]:
        """The 32-bit words of an element, and their physical address."""
        element = self.view(np.ndarray)[index : index + 1] if index >= 0 else self.view(np.ndarray)[index:][:1]
        if not len(element):
            raise IndexError(f"index {index} is out of bounds for {len(self)} elements")
        here, there = self.origin
        return element.view("<u4"), element.__array_interface__["data"][0] - here + there


def through(bus: Bus, mmap: Callable[[Any, int, int], np.ndarray]) -> Callable[[Any, int, int], np.ndarray]:
    """`EmbeddedDevice.mmap`, with `bus` behind what it maps.

    Parameters
    ----------
    bus : Bus
        The board's.
    mmap : callable
        pynq's own method.
    """

    def mapped(device: Any, address: int, nbytes: int) -> np.ndarray:
        words = mmap(device, address, nbytes).view(MappedWords)
        words.bus, words.origin = bus, (words.__array_interface__["data"][0], address)
        return words

    return mapped
