"""A UIO device: how Linux hands an interrupt to a program. Importing this module imports `pynq`.

A pseudo terminal in raw mode stands for `/dev/uioN`: a file with a path, on which a program waits and into which it
writes. pynq looks such files up by the number of the interrupt in `/proc/interrupts`; while a board is open, its own
are found there first.
"""

from __future__ import annotations

import os
import threading
import tty
from typing import Any

import pynq.interrupt

_lock = threading.Lock()
_open: list[UioDevice] = []
_before: list[Any] = []  # pynq's own function, while a device is open


class InterruptLine:
    """An interrupt line to the processor, and its UIO device.

    Attributes
    ----------
    path : str
        The file that stands for `/dev/uioN`.
    """

    def __init__(self) -> None:
        self._controller, self._terminal = os.openpty()
        tty.setraw(self._terminal)
        os.set_blocking(self._controller, False)
        self.path = os.ttyname(self._terminal)
        self._count = 0

    def signal(self) -> None:
        """The line rises. Nobody hears of it who has not asked since the last time, by writing to the device."""
        try:
            asked = os.read(self._controller, 4096)
        except BlockingIOError:
            asked = b""
        if asked:
            self._count += 1
            os.write(self._controller, self._count.to_bytes(4, "little"))

    def close(self) -> None:
        """Remove the device."""
        os.close(self._controller)
        os.close(self._terminal)


class UioDevice(InterruptLine):
    """An interrupt line that pynq finds by its number.

    Parameters
    ----------
    irq : int
        Its number, as a `.hwh` gives it.
    """

    def __init__(self, irq: int) -> None:
        super().__init__()
        self.irq = irq
        with _lock:
            if not _open:
                _before.append(pynq.interrupt.get_uio_irq)
                pynq.interrupt.get_uio_irq = _find
            _open.append(self)

    def close(self) -> None:
        with _lock:
            _open.remove(self)
            if not _open:
                pynq.interrupt.get_uio_irq = _before.pop()
        super().close()


def _find(irq: int) -> str | None:
    """The device of the board that was opened last, or what pynq finds on this machine."""
    with _lock:
        found = [device.path for device in _open if device.irq == irq]
    return found[-1] if found else _before[0](irq)
