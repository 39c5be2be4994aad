"""A board beneath pynq's own `EmbeddedDevice`."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any
from unittest import mock

from pynq_cnn.backends.overlay.bitstream import overlay_folder
from pynq_cnn.backends.overlay.library import load_pynq
from pynq_cnn.errors import ArgumentError, BackendError
from pynq_cnn.virtual_board.embedded.bitfile import Block, write_bitfile
from pynq_cnn.virtual_board.embedded.files import LINE, BoardFiles
from pynq_cnn.virtual_board.embedded.memory import SharedMemory
from pynq_cnn.virtual_board.faults import Faults


class EmbeddedBoard:
    """A PYNQ-Z2 in a folder, for one or several processes, that pynq finds as it finds a real one
    (docs/guide/virtual-board.md).

    One may be open in a process, and a `VirtualBoard` that is opened meanwhile must be closed first.

    Parameters
    ----------
    hwh : str or path-like, optional
        The design of `bitfile`. By default the one in the package's `overlays` folder.
    xrt : {"sourced", "not sourced", "not loaded"}
        Whether the process has XRT's environment. "not sourced": pynq was imported without it, and knows no embedded
        device. "not loaded": it knows one, but without a library beneath.
    root : bool
        Whether the process is root's.
    bitstream : bool
        Whether the package's own bitstream is there, so that nobody has to pass `bitfile=`.
    contiguous_bytes : int
        Size of the contiguous memory, a multiple of 4096.

    Attributes
    ----------
    folder : Path
        The board's files; gone after `close()`. Another process joins with `EmbeddedBoard.join(folder)`.
    bitfile : str
        A `.bit` with its `.hwh` next to it, which pynq converts and "loads".
    memory : SharedMemory
        Its contiguous memory and, by `physical`, its registers.
    faults : Faults
        Switches for what goes wrong; `no_memory` and `no_download` for this process only.
    engine : EngineThread
        The thread that plays the engine, in the process that opened the board.

    Raises
    ------
    BackendError
        If the pynq library or the compiled kernel is not installed, or a board is open in this process.
    ArgumentError
        If an argument is unusable.
    """

    folder: Path
    _open: EmbeddedBoard | None = None

    def __init__(
        self,
        *,
        hwh: str | os.PathLike[str] | None = None,
        xrt: str = "sourced",
        root: bool = True,
        bitstream: bool = True,
        contiguous_bytes: int = 128 << 20,
    ) -> None:
        source = overlay_folder() / "pynq_cnn.hwh" if hwh is None else Path(hwh)
        if not source.is_file():
            raise ArgumentError(f"{source} is no file; hwh must be a hardware hand-off such as overlays/pynq_cnn.hwh")
        with ExitStack() as stack:
            folder = Path(tempfile.mkdtemp(prefix="pynq_cnn-embedded-board-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            self._set_up(stack, folder, xrt, root, bitstream, contiguous_bytes)
            self._power_up(stack)
            self.bitfile = self.add_overlay("pynq_cnn", source.read_text(encoding="utf-8"))
            self._ending = stack.pop_all()
        atexit.register(self.close)

    @classmethod
    def join(
        cls, folder: str | os.PathLike[str], *, xrt: str = "sourced", root: bool = True, bitstream: bool = True
    ) -> EmbeddedBoard:
        """The board in `folder`, which another process has opened and closes.

        Parameters
        ----------
        folder : str or path-like
            Its `folder`.
        xrt, root, bitstream
            As for a new board; they are this process's.
        """
        path = Path(folder)
        if not (path / "cache").is_file():
            raise ArgumentError(f"{path} is not the folder of an EmbeddedBoard that is open")
        board = cls.__new__(cls)
        with ExitStack() as stack:
            board._set_up(stack, path, xrt, root, bitstream, (path / "cache").stat().st_size)
            board.bitfile = str(path / "overlays" / "pynq_cnn.bit")
            board._ending = stack.pop_all()
        atexit.register(board.close)
        return board

    @classmethod
    def of_this_process(cls) -> EmbeddedBoard:
        """The board that is open in this process; `BackendError` if there is none."""
        if cls._open is None:
            raise BackendError("no EmbeddedBoard is open in this process; make one, or join one")
        return cls._open

    @property
    def device(self) -> Any:
        """The `EmbeddedDevice` that pynq finds; raises what pynq raises where it finds none."""
        import pynq

        return pynq.Device.active_device

    @property
    def loads(self) -> list[str]:
        """Names of the bitstreams that were loaded, oldest first, by whichever process."""
        return self._logic.loads

    @property
    def complaints(self) -> list[str]:
        """Deeds that would have destroyed something without a word on a real board, oldest first; empty if there were
        none.
        """
        return self._logic.complaints

    def add_overlay(self, name: str, hwh: str) -> str:
        """Another overlay: a `.bit` and its `.hwh`, in the board's folder.

        Parameters
        ----------
        name : str
            Stem of the files.
        hwh : str
            Text of the hardware hand-off.

        Returns
        -------
        str
            Path of the `.bit`.
        """
        from pynq.metadata.runtime_metadata_parser import RuntimeMetadataParser
        from pynqmetadata.frontends import Metadata

        path = self.folder / "overlays" / f"{name}.hwh"
        path.write_text(hwh, encoding="utf-8")
        parser = RuntimeMetadataParser(Metadata(input=str(path)))
        blocks = [
            Block(
                name=name,
                type=details["type"],
                address=details["phys_addr"],
                nbytes=details["addr_range"],
                registers={register: about["address_offset"] for register, about in details["registers"].items()},
                interrupts=[
                    [parser.ip_dict[pin["controller"]]["phys_addr"], pin["index"]]
                    for pin in details["interrupts"].values()
                    if parser.interrupt_controllers[pin["controller"]].get("raw_irq") == LINE
                ],
            )
            for name, details in parser.ip_dict.items()
            if "phys_addr" in details
        ]
        write_bitfile(path.with_suffix(".bit"), blocks)
        return str(path.with_suffix(".bit"))

    def close(self) -> None:
        """Leave the board: pynq is as before, and the board is switched off unless another process has opened it.

        Free buffers first. Calling it again does nothing, nor does calling it in a forked child.
        """
        if EmbeddedBoard._open is self and os.getpid() == self._process:
            atexit.unregister(self.close)
            self._ending.close()

    def __enter__(self) -> EmbeddedBoard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _set_up(
        self, stack: ExitStack, folder: Path, xrt: str, root: bool, bitstream: bool, contiguous_bytes: int
    ) -> None:
        """Set up files, memory, and pynq on them, as every process needs them."""
        with mock.patch.dict(os.environ):
            os.environ.pop("XILINX_XRT", None)  # with it, pynq would load the real library
            load_pynq("the virtual board")
        from pynq_cnn.virtual_board.embedded import package_side, pynq_side
        from pynq_cnn.virtual_board.embedded.bus import Bus
        from pynq_cnn.virtual_board.embedded.logic import Logic

        if xrt not in pynq_side.XRT_STATES:
            raise ArgumentError(f"xrt must be one of {', '.join(pynq_side.XRT_STATES)}, not {xrt!r}")
        if EmbeddedBoard._open is not None:
            raise BackendError(f"this process has a board in {EmbeddedBoard._open.folder}; close it first")
        EmbeddedBoard._open = self
        stack.callback(setattr, EmbeddedBoard, "_open", None)
        self._process = os.getpid()
        self.folder = folder
        self.faults = Faults()
        is_new = not (folder / "cache").exists()
        self.memory = SharedMemory(folder, contiguous_bytes)
        stack.callback(self.memory.close)
        self._logic = Logic(folder, self.memory, self.faults)
        self._files = BoardFiles(folder, self._logic.load, root)
        if is_new:
            self._files.create()
            for place in ("bin", "pynq/pl_server", "overlays", "usr"):
                (folder / place).mkdir(parents=True)
            pynq_side.install_xclbinutil(folder / "bin", sys.executable)
        pynq_side.lend(stack, self._files, self.memory, Bus(self._logic, self.memory), self.faults, xrt)
        package_side.lend(stack, folder, self.memory, root, bitstream)

    def _power_up(self, stack: ExitStack) -> None:
        """Start the processor's registers and the engine, which only the process needs that opens the board."""
        from pynq_cnn.backends.kernel.native import load_engine
        from pynq_cnn.virtual_board.device import AFI, AFI_BYTES, AFI_READ, AFI_WRITE, CLOCKS, SLCR, SLCR_BYTES
        from pynq_cnn.virtual_board.embedded.logic import EngineThread
        from pynq_cnn.virtual_board.uio import InterruptLine

        clocks = self.memory.physical(SLCR, SLCR_BYTES).view("<u4")
        for offset, value in CLOCKS.items():
            clocks[offset // 4] = value
        ports = [self.memory.physical(AFI + AFI_BYTES * i, AFI_BYTES).view("<u4") for i in range(4)]

        def is_narrow(port: int) -> bool:
            return any(ports[port][offset // 4] & 1 for offset in (AFI_READ, AFI_WRITE))

        line = InterruptLine()
        stack.callback(line.close)
        self._files.add_uio(line.path)
        self.engine = EngineThread(self._logic, self.memory, load_engine(), self.faults, is_narrow, line.signal)
        self.engine.start()
        stack.callback(self.engine.switch_off)
