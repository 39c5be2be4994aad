"""Loans to this package while a board is open: where it looks for a board, its bitstream and its lock files, whose the
process is, and what memory there is.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from unittest import mock

from pynq_cnn.virtual_board.embedded.files import MANAGER, user_number
from pynq_cnn.virtual_board.embedded.memory import SharedMemory


def lend(stack: ExitStack, folder: Path, memory: SharedMemory, root: bool, bitstream: bool) -> None:
    """Make this package find a board until `stack` closes.

    Parameters
    ----------
    stack : ExitStack
        Gets what puts everything back.
    folder, memory
        The board's.
    root : bool
        Whether the process is root's.
    bitstream : bool
        Whether the package's own bitstream is there.
    """
    overlays = folder / ("overlays" if bitstream else "not-built")
    for name, value in (
        ("host.FPGA_MANAGER", Path(f"{folder}{MANAGER}")),
        ("host.memory_report", memory.report),
        ("host.user", lambda: user_number(root)),
        ("overlay.bitstream.overlay_folder", lambda: overlays),
        ("overlay.process_lock.lock_folder", lambda: folder / "locks"),
    ):
        stack.enter_context(mock.patch(f"pynq_cnn.backends.{name}", value))
