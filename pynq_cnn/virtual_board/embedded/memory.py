"""Physical memory in a file, and contiguous memory in it that several processes share."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from pynq_cnn.virtual_board.memory import FREED, FRESH, Allocation, ContiguousMemory

ADDRESSES = 1 << 32  # what a Zynq-7000 can address
PROTECTION, SHARED = 1 | 2, 1  # PROT_READ | PROT_WRITE, MAP_SHARED


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock file at `path`, against threads and processes; yields whether it is held: always, with `wait`."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(file)


def replace_text(path: Path, text: str) -> None:
    """Write a file so that whoever reads it finds the old text or the new one, also after this process was killed."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    os.replace(new, path)


class SharedMemory(ContiguousMemory):
    """Contiguous memory of a board that several processes use.

    The device's view is part of the file that stands for /dev/mem, the processor's view a file of its own; a table says
    what is taken and by which process. What a process leaves behind when it ends is free again.

    Parameters
    ----------
    folder : Path
        Where the files are.
    nbytes : int
        A multiple of 4096, at most 512 MB.
    """

    def __init__(self, folder: Path, nbytes: int) -> None:
        super().__init__(nbytes)
        self._file = folder / "dev" / "mem"
        self._cache_file = folder / "cache"
        self._table_file = folder / "allocations.json"
        self._lock_file = folder / "allocations.lock"
        self._closed = False
        for path, size in ((self._file, ADDRESSES), (self._cache_file, nbytes)):
            if not path.exists():
                path.parent.mkdir(exist_ok=True)
                with open(path, "wb") as file:
                    file.truncate(size)  # sparse: takes what is written to it
        self._bytes = self.physical(self.base, nbytes)
        self._cache = np.memmap(self._cache_file, np.uint8, "r+", 0, (nbytes,))

    def physical(self, address: int, nbytes: int) -> np.ndarray:
        """uint8 [nbytes], the bytes at a physical address: memory or registers, whatever is there."""
        return np.memmap(self._file, np.uint8, "r+", address, (nbytes,))

    def allocate(self, nbytes: int) -> Allocation:
        with self._table() as taken:
            address = self._first_gap([entry[:2] for entry in taken], nbytes)
            taken.append((address, nbytes, os.getpid()))
        offset = address - self.base
        host = self._cache[offset : offset + nbytes]
        host[:] = FRESH
        self._bytes[offset : offset + nbytes] = FRESH
        return Allocation(address, nbytes, host)

    def free(self, piece: Allocation) -> None:
        if self._closed:
            return
        piece.live = False
        piece.host[:] = FREED
        self._bytes[piece.address - self.base :][: piece.nbytes] = FREED
        with self._table() as taken:
            taken[:] = [entry for entry in taken if entry[0] != piece.address]

    def map(self, piece: Allocation) -> int:
        """Map the processor's view of `piece` into this process; the address, which the caller unmaps (munmap)."""
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap64.restype = ctypes.c_void_p
        libc.mmap64.argtypes = [
            ctypes.c_void_p,
            ctypes.c_size_t,
            ctypes.c_int,
            ctypes.c_int,
            ctypes.c_int,
            ctypes.c_int64,
        ]
        file = os.open(self._cache_file, os.O_RDWR)
        try:
            address = libc.mmap64(None, piece.nbytes, PROTECTION, SHARED, file, piece.address - self.base)
        finally:
            os.close(file)
        if address == ctypes.c_void_p(-1).value:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
        return int(address)

    def report(self) -> str:
        """Its lines in /proc/meminfo."""
        sizes = {"CmaTotal": self.nbytes, "CmaFree": self.nbytes - self.used}
        return "".join(f"{name + ':':<16}{nbytes >> 10:>8} kB\n" for name, nbytes in sizes.items())

    def close(self) -> None:
        """Let go of the table; what is freed from now on is not written down anywhere."""
        self._closed = True

    def _taken(self) -> list[tuple[int, int]]:
        with self._table() as taken:
            return [entry[:2] for entry in taken]

    @contextmanager
    def _table(self) -> Iterator[list[tuple[int, int, int]]]:
        """(address, bytes, process) of what is taken; written back at the end."""
        with locked(self._lock_file):
            before = (
                [tuple(entry) for entry in json.loads(self._table_file.read_text())]
                if self._table_file.exists()
                else []
            )
            taken = [entry for entry in before if _alive(entry[2])]
            yield taken
            if taken != before:
                replace_text(self._table_file, json.dumps(taken))


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
