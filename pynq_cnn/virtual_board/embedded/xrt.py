"""Xilinx's runtime (XRT) as pynq sees it: the C library of pynq 3.0, and the `pyxrt` module of pynq 3.1."""

from __future__ import annotations

import ctypes
import itertools
import weakref
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pynq_cnn.virtual_board.embedded.memory import SharedMemory
from pynq_cnn.virtual_board.embedded.xclbinutil import MAGIC
from pynq_cnn.virtual_board.faults import Faults
from pynq_cnn.virtual_board.memory import Allocation

BOARD_NAME = "Pynq-Z2"  # what XRT reads from /etc/xocl.txt
FAILED = 0xFFFF_FFFF  # NULLBO and -1, as unsigned ints
TO_DEVICE, FROM_DEVICE = 0, 1

FACTS = "bdf dynamic_regions electrical host m2m max_clock_frequency_mhz mechanical memory name pcie_info thermal vmr"
Fact = Enum("Fact", FACTS)  # type: ignore[misc]  # mypy wants a literal


def core_library(memory: SharedMemory, faults: Faults) -> SimpleNamespace:
    """The functions of `libxrt_core.so` that pynq 3.0 calls on a Zynq, as ctypes would show them.

    Parameters
    ----------
    memory : SharedMemory
        Where buffers live.
    faults : Faults
        `no_memory` is read.
    """
    pieces: dict[int, Allocation] = {}
    handles = itertools.count(1)

    def xclProbe() -> int:
        return 1

    def xclOpen(index: int, log: Any, level: int) -> int:
        return 1

    def xclClose(handle: Any) -> None:
        pass

    def xclGetDeviceInfo2(handle: Any, info: Any) -> int:
        info.mName = BOARD_NAME.encode()
        return 0

    def xclLockDevice(handle: Any) -> int:
        return 0

    def xclUnlockDevice(handle: Any) -> int:
        return 0

    def xclLoadXclBin(handle: Any, data: bytes) -> int:
        return 0 if bytes(data[: len(MAGIC)]) == MAGIC else -22

    def xclAllocBO(handle: Any, size: int, domain: int, flags: int) -> int:
        if not handle or faults.no_memory:
            return FAILED
        try:
            piece = memory.allocate(size)
        except RuntimeError:
            return FAILED
        bo = next(handles)
        pieces[bo] = piece
        return bo

    def xclFreeBO(handle: Any, bo: int) -> None:
        memory.free(pieces.pop(bo))

    def xclMapBO(handle: Any, bo: int, write: bool) -> ctypes.c_void_p:
        return ctypes.c_void_p(memory.map(pieces[bo]))

    def xclGetBOProperties(handle: Any, bo: int, properties: Any) -> int:
        if bo not in pieces:
            return -1
        properties.size, properties.paddr = pieces[bo].nbytes, pieces[bo].address
        return 0

    def xclSyncBO(handle: Any, bo: int, direction: int, size: int, offset: int) -> int:
        if bo not in pieces or offset + size > pieces[bo].nbytes:
            return FAILED
        (memory.flush if direction == TO_DEVICE else memory.invalidate)(pieces[bo], offset, size)
        return 0

    return SimpleNamespace(**{name: function for name, function in locals().items() if name.startswith("xcl")})


def pyxrt_module(memory: SharedMemory, faults: Faults) -> SimpleNamespace:
    """A stand-in for the `pyxrt` module, with what pynq 3.1 takes from it.

    Parameters
    ----------
    memory : SharedMemory
        Where buffers live.
    faults : Faults
        `no_memory` is read.
    """

    class flags(Enum):
        normal = 0
        cacheable = 1 << 24

    class direction(Enum):
        XCL_BO_SYNC_BO_TO_DEVICE = TO_DEVICE
        XCL_BO_SYNC_BO_FROM_DEVICE = FROM_DEVICE

    class bo:
        """A buffer; given back when nobody holds it any more."""

        def __init__(self, device: device, size: int, kind: flags, group: int) -> None:
            if faults.no_memory:
                raise RuntimeError("failed to allocate BO: Cannot allocate memory")
            self._piece = memory.allocate(size)
            # Not at exit: then the board sees that the process has ended.
            weakref.finalize(self, memory.free, self._piece).atexit = False

        def map(self) -> memoryview:
            return memoryview((ctypes.c_ubyte * self._piece.nbytes).from_address(memory.map(self._piece))).cast("B")

        def size(self) -> int:
            return self._piece.nbytes

        def address(self) -> int:
            return self._piece.address

        def sync(self, way: direction) -> None:
            if way is direction.XCL_BO_SYNC_BO_TO_DEVICE:  # always the whole buffer
                memory.flush_changed(self._piece)
            else:
                memory.invalidate(self._piece, 0, self._piece.nbytes)

    bo.flags = flags  # type: ignore[attr-defined]

    class device:
        """The board, opened."""

        def __init__(self, index: int) -> None:
            pass

        def get_info(self, what: Enum) -> str:
            return BOARD_NAME if what.name == "name" else ""

        def load_xclbin(self, path: str) -> str:
            if not Path(path).read_bytes().startswith(MAGIC):
                raise RuntimeError("Invalid xclbin")
            return "00000000-0000-0000-0000-000000000000"

    return SimpleNamespace(device=device, bo=bo, xclBOSyncDirection=direction, xrt_info_device=Fact)
