"""The files of Linux on a PYNQ-Z2 that pynq touches, in a folder."""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

MANAGER = "/sys/class/fpga_manager/fpga0"
FIRMWARE, MEMORY = "/lib/firmware", "/dev/mem"
INTERRUPTS, UIO = "/proc/interrupts", "/sys/class/uio"
PLACES = (MANAGER, FIRMWARE, MEMORY, INTERRUPTS, UIO)

# IRQ_F2P[0], the one line from the programmable logic that the PYNQ-Z2's device tree hands out through UIO, under this
# name.
LINE, LINE_NAME = 61, "fabric"


def user_number(root: bool) -> int:
    """Of root, or of the image's ordinary user."""
    return 0 if root else 1000


class BoardFiles:
    """`open`, `os` and `pathlib.Path` of the board: its folder for what is in `PLACES`, this machine for the rest.

    Parameters
    ----------
    folder : Path
        Where the board's files are.
    load : callable
        Loads the bitstream of that name from /lib/firmware; `OSError` if it cannot.
    root : bool
        Whether the process may do what needs root.
    """

    def __init__(self, folder: Path, load: Callable[[str], None], root: bool) -> None:
        self.folder = folder
        self.root = root
        self.os = _System(self)
        self._load = load

    def create(self) -> None:
        """Make the files, as they are after power-up."""
        manager = Path(self.where(MANAGER))
        parents = (Path(self.where(place)).parent for place in (MEMORY, INTERRUPTS))
        for place in (manager, Path(self.where(FIRMWARE)), Path(self.where(UIO)), *parents):
            place.mkdir(parents=True, exist_ok=True)
        Path(self.where(INTERRUPTS)).write_text(
            f"           CPU0       CPU1\n 45:          0          0     GIC-0  {LINE} Level     {LINE_NAME}\n"
        )
        for name, content in (("firmware", ""), ("flags", "0\n"), ("state", "unknown\n")):
            (manager / name).write_text(content)

    def add_uio(self, path: str) -> None:
        """Have Linux know the UIO device of the line from the programmable logic, a file below /dev."""
        name = Path(f"{self.where(UIO)}/{os.path.relpath(path, '/dev')}/name")
        name.parent.mkdir(parents=True)
        name.write_text(f"{LINE_NAME}\n")

    def where(self, path: str | os.PathLike[str]) -> str:
        """Where on this machine the board's `path` is."""
        name = os.fspath(path)
        return (
            f"{self.folder}{name}" if any(name == place or name.startswith(f"{place}/") for place in PLACES) else name
        )

    def path(self, *parts: str | os.PathLike[str]) -> Path:
        """`pathlib.Path`."""
        return Path(self.where(Path(*parts)))

    def open(self, path: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
        """The built-in `open`."""
        if isinstance(path, (str, os.PathLike)) and self.where(path) != os.fspath(path) and mode != "r":
            if not self.root:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
            if os.fspath(path) == f"{MANAGER}/firmware":
                return _Request(self._load)
        return builtins.open(self.where(path) if isinstance(path, (str, os.PathLike)) else path, mode, *rest, **options)


class _Request(io.StringIO):
    """The manager's file `firmware`: the name that is written to it is loaded before `close` returns."""

    def __init__(self, load: Callable[[str], None]) -> None:
        super().__init__()
        self._load = load

    def close(self) -> None:
        if not self.closed:
            name = self.getvalue().strip()
            super().close()
            if name:
                self._load(name)


class _System:
    """The module `os`."""

    def __init__(self, files: BoardFiles) -> None:
        self._files = files

    def open(self, path: str, *rest: Any, **options: Any) -> int:
        return os.open(self._files.where(path), *rest, **options)

    def listdir(self, path: str) -> list[str]:
        if path != UIO:
            return os.listdir(self._files.where(path))
        root = Path(self._files.where(UIO))
        return [str(name.parent.relative_to(root)) for name in root.rglob("name")]

    def geteuid(self) -> int:
        return user_number(self._files.root)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)
