"""pynq's one `Clocks` per process, lent to the virtual boards that are open.

`pynq.Overlay.download` sets the clocks of the programmable logic through `pynq.Clocks`, a class that binds itself to
the machine's own processor when it is first used: on a laptop that fails ("Architecture not supported"), and later
boards would get the first one's clocks. So each open board puts its own clock registers there, and the last to close
puts back what was there before.
"""

from __future__ import annotations

import threading
from typing import Any

import pynq
from pynq.ps import _ClocksZynq

_lock = threading.Lock()
_lent: list[tuple[pynq.Device, Any]] = []  # the open boards and their clocks, oldest first
_before: dict[str, Any] = {}  # what pynq.Clocks held before the first of them


def lend(device: pynq.Device) -> None:
    """Make `pynq.Clocks` act on the registers of `device`."""
    with _lock:
        if not _lent:
            _before.update(
                {name: vars(pynq.Clocks)[name] for name in ("_real_instance", "device") if name in vars(pynq.Clocks)}
            )
        _lent.append((device, _clocks(device)))
        _show()


def take_back(device: pynq.Device) -> None:
    """Undo `lend`, in any order."""
    with _lock:
        _lent[:] = [entry for entry in _lent if entry[0] is not device]
        _show()


def _show() -> None:
    values = {"device": _lent[-1][0], "_real_instance": _lent[-1][1]} if _lent else _before
    for name in ("_real_instance", "device"):
        if name in values:
            setattr(pynq.Clocks, name, values[name])
        elif name in vars(pynq.Clocks):
            delattr(pynq.Clocks, name)
    if not _lent:
        _before.clear()


def _clocks(device: pynq.Device) -> Any:
    """A Zynq's clocks, whatever this machine is. pynq 3.0 takes no device here, so the device is the active one for as
    long as it takes.
    """
    active = vars(pynq.Device).get("_active_device")
    pynq.Device.active_device = device
    try:
        return _ClocksZynq()
    finally:
        if active is None:
            del pynq.Device._active_device
        else:
            pynq.Device.active_device = active
