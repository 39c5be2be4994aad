"""A virtual board from end to end: its device, and a place that holds what stands for the bitstream."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType

from pynq_cnn.backends.overlay.bitstream import overlay_folder
from pynq_cnn.backends.overlay.library import load_pynq
from pynq_cnn.checks import integer
from pynq_cnn.errors import ArgumentError
from pynq_cnn.virtual_board.faults import Faults
from pynq_cnn.virtual_board.memory import ContiguousMemory

PLACEHOLDER = (
    b"This is not a bitstream. It stands for one on the virtual board of pynq_cnn, which only reads the .hwh beside"
    b" it.\n"
)

_numbers = itertools.count()


class VirtualBoard:
    """An emulated PYNQ-Z2 for the unmodified pynq library (docs/guide/virtual-board.md).

    Several may be open in one process; pass `board.device` to whatever takes a device, since pynq's active device stays
    what it was. `pynq.Clocks`, of which there is one per process, acts on the board that was opened last.

    Parameters
    ----------
    hwh : str or path-like, optional
        The design. By default the one in the package's `overlays` folder.
    contiguous_bytes : int
        Size of the contiguous memory, a multiple of 4096.
    busy_reads : int
        How often a running engine answers "busy" before it is done.

    Attributes
    ----------
    device : pynq.Device
        To pass to `pynq.Overlay`, `pynq.allocate` or `OverlayBackend`.
    bitfile : str
        Path of the placeholder bitstream, next to a copy of the `.hwh`; gone after `close()`.
    memory : ContiguousMemory
        The board's memory.
    faults : Faults
        Switches for what goes wrong.

    Raises
    ------
    BackendError
        If the pynq library or the compiled kernel is not installed.
    ArgumentError
        If `hwh` is no file or a number is out of range.
    """

    def __init__(
        self, *, hwh: str | os.PathLike[str] | None = None, contiguous_bytes: int = 128 << 20, busy_reads: int = 1
    ) -> None:
        busy_reads = integer("busy_reads", busy_reads, 0)
        source = overlay_folder() / "pynq_cnn.hwh" if hwh is None else Path(hwh)
        if not source.is_file():
            raise ArgumentError(f"{source} is no file; hwh must be a hardware hand-off such as overlays/pynq_cnn.hwh")
        load_pynq("the virtual board")
        from pynq_cnn.backends.kernel.native import load_engine
        from pynq_cnn.virtual_board import clocks
        from pynq_cnn.virtual_board.device import VirtualDevice

        self.memory = ContiguousMemory(contiguous_bytes)
        self.faults = Faults()
        self.device = VirtualDevice(
            f"virtual-{os.getpid()}-{next(_numbers)}", self.memory, load_engine(), self.faults, busy_reads
        )
        self._take_back = clocks.take_back
        self._folder: tempfile.TemporaryDirectory[str] | None = tempfile.TemporaryDirectory(
            prefix="pynq_cnn-virtual-board-"
        )
        self.bitfile = os.path.join(self._folder.name, "pynq_cnn.bit")
        Path(self.bitfile).write_bytes(PLACEHOLDER)
        shutil.copyfile(source, Path(self.bitfile).with_suffix(".hwh"))
        clocks.lend(self.device)

    def close(self) -> None:
        """Switch the board off: its registers answer no more, its files are gone, pynq is as before. Calling it again
        does nothing.
        """
        if self._folder is not None:
            self._take_back(self.device)
            self.device.reset_logic()
            self._folder.cleanup()
            self._folder = None

    def __enter__(self) -> VirtualBoard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
