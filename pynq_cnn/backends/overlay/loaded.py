"""The design in the programmable logic, as far as pynq knows it. Importing this module imports `pynq`.

pynq keeps two records. In a process, `device.timestamp` says when something was loaded last; another process's loads do
not show there. On a board, `pynq.pl_server.global_state` writes a file with the name and the SHA-1 of every bitstream
that any process loads.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pynq
from pynq.pl_server import global_state


@dataclass(frozen=True)
class Loaded:
    """The design that was loaded last.

    Parameters
    ----------
    stamp : tuple
        Differs after every load, whichever process did it.
    bitfile : str or None
        The file that was loaded; None if nothing is known.
    digest : str or None
        SHA-1 of its file; None if unknown.
    """

    stamp: tuple[Any, ...]
    bitfile: str | None
    digest: str | None

    def is_of(self, bitfile: Path) -> bool:
        """Whether it was loaded from a file with the content of `bitfile`."""
        return self.digest is not None and self.digest == hashlib.sha1(bitfile.read_bytes()).hexdigest()


def stamp_of(device: pynq.Device) -> tuple[Any, ...]:
    """`Loaded.stamp` alone, which is quick to get."""
    return getattr(device, "timestamp", None), _file_stamp(_state_file(device))


def loaded_on(device: pynq.Device) -> Loaded:
    """The design that `device` holds.

    Parameters
    ----------
    device : pynq.Device
        Any.
    """
    file = _state_file(device)
    state = {}
    if file is not None:
        global_state.initial_global_state_file_boot_check()  # removes the file if the board has started anew since
        state = _read(file)
    here = getattr(device, "bitfile_name", None) if getattr(device, "timestamp", None) is not None else None
    return Loaded(stamp_of(device), state.get("bitfile_name") or here, state.get("bitfile_hash"))


def _state_file(device: pynq.Device) -> Path | None:
    """pynq's record of what any process has loaded on `device`; None for a device of which it keeps none."""
    # Not imported here: pynq imports it itself where there is XRT, and elsewhere importing it breaks pynq's search for
    # devices.
    embedded = sys.modules.get("pynq.pl_server.embedded_device")
    if embedded is None or not isinstance(device, embedded.EmbeddedDevice):
        return None
    path_of = getattr(global_state, "_get_state_path", None)  # pynq 3.1; in 3.0 there is one file, of another name
    return Path(path_of()) if path_of is not None else Path(global_state.STATE_DIR) / "global_pl_state.json"


def _file_stamp(file: Path | None) -> tuple[int, ...] | None:
    try:
        found = None if file is None else os.stat(file)
    except OSError:
        return None
    return None if found is None else (found.st_ino, found.st_size, found.st_mtime_ns)


def _read(file: Path) -> dict[str, Any]:
    """The record, read without pynq, whose class takes the hash of the file as it is now in place of the one that was
    loaded.
    """
    try:
        state = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}
