"""The board's contiguous memory, with the processor's cache in front of it."""

from __future__ import annotations

import errno
import threading
from dataclasses import dataclass

import numpy as np

from pynq_cnn.checks import is_integer
from pynq_cnn.errors import ArgumentError

PAGE = 4096
DDR_END = 0x2000_0000  # 512 MB
LINE = 32  # bytes; the processor's cache (Cortex-A9) is written back by the line
FRESH, FREED = 0xCD, 0xDD  # what memory is full of that nobody has written, and that nobody may read any more


@dataclass(eq=False)
class Allocation:
    """A piece of contiguous memory.

    Parameters
    ----------
    address : int
        Physical, bytes.
    nbytes : int
        How long it is.
    host : numpy.ndarray
        uint8 [nbytes], what the processor sees: the device sees a write here only after a flush.
    live : bool
        False once freed.
    """

    address: int
    nbytes: int
    host: np.ndarray
    live: bool = True

    def __post_init__(self) -> None:
        self._clean = self.host.copy()  # what the processor has not changed since it was flushed or invalidated

    def dirty(self) -> np.ndarray:
        """bool [nbytes], the bytes in lines of the cache that the processor has changed."""
        changed = np.zeros(-(-self.nbytes // LINE) * LINE, bool)
        changed[: self.nbytes] = self.host != self._clean
        return np.repeat(changed.reshape(-1, LINE).any(1), LINE)[: self.nbytes]

    def settle(self, offset: int, nbytes: int) -> None:
        """Count these bytes as unchanged."""
        self._clean[offset : offset + nbytes] = self.host[offset : offset + nbytes]


class ContiguousMemory:
    """Linux's memory for contiguous buffers (CMA), as the processor and the programmable logic see it.

    The processor's view and the device's are two memories. On the board they are one, but the processor sees it through
    its cache: data that was not flushed *may* not have arrived, and data that was not invalidated *may* be old. Here it
    never has arrived and always is old, so that a forgotten call fails every time.

    Parameters
    ----------
    nbytes : int
        A multiple of 4096, at most 512 MB. The PYNQ images set 128 MB aside.

    Raises
    ------
    ArgumentError
        For another size.

    Examples
    --------
    >>> memory = ContiguousMemory(1 << 20)
    >>> piece = memory.allocate(16)
    >>> piece.host[:] = 7
    >>> memory.device(piece.address, 16).tolist() == [7] * 16
    False
    >>> memory.flush(piece, 0, 16)
    >>> memory.device(piece.address, 16).tolist() == [7] * 16
    True
    """

    def __init__(self, nbytes: int = 128 << 20) -> None:
        if not is_integer(nbytes, PAGE, DDR_END) or nbytes % PAGE:
            raise ArgumentError(f"contiguous memory must be a multiple of {PAGE} bytes up to {DDR_END}, not {nbytes!r}")
        self.nbytes = int(nbytes)
        self.base = DDR_END - self.nbytes
        self._bytes = np.zeros(nbytes, np.uint8)
        self._pieces: list[Allocation] = []  # live
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Bytes in live allocations, in whole pages."""
        return sum(whole_pages(length) for _, length in self._taken())

    def allocate(self, nbytes: int) -> Allocation:
        """The first gap that `nbytes` fit into; `RuntimeError`, as XRT says it, if there is none."""
        with self._lock:
            address = self._first_gap(self._taken(), nbytes)
            self._bytes[address - self.base :][:nbytes] = FRESH
            found = Allocation(address, nbytes, np.full(nbytes, FRESH, np.uint8))
            self._pieces.append(found)
        return found

    def free(self, piece: Allocation) -> None:
        """Give `piece` back. What was in it is gone, on both sides."""
        with self._lock:
            self._pieces.remove(piece)
        piece.live = False
        piece.host[:] = FREED
        self._bytes[piece.address - self.base :][: piece.nbytes] = FREED

    def flush(self, piece: Allocation, offset: int, nbytes: int) -> None:
        """Bring bytes from the processor to the device; `RuntimeError` for a freed piece."""
        self._owned(piece, "Flush")[offset : offset + nbytes] = piece.host[offset : offset + nbytes]
        piece.settle(offset, nbytes)

    def flush_changed(self, piece: Allocation) -> None:
        """Bring what the processor has changed to the device, line by line of its cache; `RuntimeError` for a freed
        piece.

        So a whole buffer is flushed, of which the device may be writing another part: only lines that have been changed
        are written back, but those whole.
        """
        dirty = piece.dirty()
        self._owned(piece, "Flush")[dirty] = piece.host[dirty]
        piece.settle(0, piece.nbytes)

    def invalidate(self, piece: Allocation, offset: int, nbytes: int) -> None:
        """Bring bytes from the device to the processor; `RuntimeError` for a freed piece."""
        piece.host[offset : offset + nbytes] = self._owned(piece, "Invalidate")[offset : offset + nbytes]
        piece.settle(offset, nbytes)

    def device(self, address: int, nbytes: int) -> np.ndarray:
        """The device's view of `nbytes` bytes at the physical `address`; `OSError` outside the live allocations: a bus
        error.
        """
        for start, length in self._taken():
            if start <= address and address + nbytes <= start + whole_pages(length):
                return self._bytes[address - self.base :][:nbytes]
        raise OSError(errno.EFAULT, f"Bus error: {nbytes} bytes at {address:#x} are not contiguous memory in use")

    def _taken(self) -> list[tuple[int, int]]:
        """(address, bytes) of the live allocations."""
        return [(piece.address, piece.nbytes) for piece in self._pieces]

    def _first_gap(self, taken: list[tuple[int, int]], nbytes: int) -> int:
        """Address of the first gap between `taken`, of (address, bytes), that `nbytes` fit into; `RuntimeError` if
        there is none.
        """
        address = self.base
        for start, length in [*sorted(taken), (self.base + self.nbytes, 0)]:
            if start - address >= whole_pages(nbytes):
                return address
            address = start + whole_pages(length)
        used = sum(whole_pages(length) for _, length in taken)
        raise RuntimeError(f"Allocate failed: {nbytes} bytes of contiguous memory ({used} of {self.nbytes} in use)")

    def _owned(self, piece: Allocation, action: str) -> np.ndarray:
        if not piece.live:
            raise RuntimeError(f"{action} Failed: the buffer at {piece.address:#x} has been freed")
        return self._bytes[piece.address - self.base :][: piece.nbytes]


def whole_pages(nbytes: int) -> int:
    """`nbytes`, rounded up to whole pages; at least one."""
    return max(1, -(-nbytes // PAGE)) * PAGE
