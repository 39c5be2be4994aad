"""Loans to this package while a board is open: where it looks for a board, its bitstream and its lock files."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from unittest import mock

from pynq_cnn.virtual_board.embedded.files import MANAGER


def lend(stack: ExitStack, folder: Path, bitstream: bool) -> None:
    """Make this package find the board in `folder` until `stack` closes.

    Parameters
    ----------
    stack : ExitStack
        Gets what puts everything back.
    folder : Path
        The board's files.
    bitstream : bool
        Whether the package's own bitstream is there.
    """
    overlays = folder / ("overlays" if bitstream else "not-built")
    for name, value in (
        ("host.FPGA_MANAGER", Path(f"{folder}{MANAGER}")),
        ("overlay.bitstream.overlay_folder", lambda: overlays),
        ("overlay.process_lock.lock_folder", lambda: folder / "locks"),
    ):
        stack.enter_context(mock.patch(f"pynq_cnn.backends.{name}", value))
