"""Loans to the pynq library while a board is open: attributes of its modules and classes, put back at
the end.
"""

from __future__ import annotations

import ctypes
import importlib
import os
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from pynq_cnn.virtual_board.embedded.bus import Bus, through
from pynq_cnn.virtual_board.embedded.files import BoardFiles
from pynq_cnn.virtual_board.embedded.memory import SharedMemory
from pynq_cnn.virtual_board.embedded.xrt import core_library, pyxrt_module
from pynq_cnn.virtual_board.faults import Faults

ARCHITECTURE = "armv7l"
BOARD_MARK = "/proc/device-tree/chosen/pynq_board"
XRT_STATES = ("sourced", "not sourced", "not loaded")


def lend(stack: ExitStack, files: BoardFiles, memory: SharedMemory, bus: Bus, faults: Faults, xrt: str) -> None:
    """Make pynq find a board's files, memory and XRT until `stack` closes.

    Parameters
    ----------
    stack : ExitStack
        Gets what puts everything back.
    files, memory, bus, faults
        The board's.
    xrt : str
        One of `XRT_STATES`.
    """
    import pynq

    # pynq imports these only where XILINX_XRT is set. It knows their devices from then on, which is undone at the end.
    known = type(pynq.Device)._subclasses
    stack.enter_context(mock.patch.dict(known))
    names = ("embedded_device", "xrt_device", "global_state", "device")
    embedded_device, xrt_device, global_state, device = (
        importlib.import_module(f"pynq.pl_server.{name}") for name in names
    )
    for owner in (embedded_device.EmbeddedDevice, xrt_device.XrtDevice):
        known[owner._probe_priority_] = owner
    if xrt == "not sourced":
        known.clear()

    environment = {
        "PATH": f"{files.folder / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
        "XILINX_XRT": str(files.folder / "usr"),
    }
    stack.enter_context(mock.patch.dict(os.environ, environment))
    if xrt == "not sourced":
        del os.environ["XILINX_XRT"]

    _set_aside(stack, device.Device, ("_devices", "_active_device"))
    _set_aside(stack, pynq.Clocks, ("_real_instance", "device"))
    _set_aside(stack, pynq.PL, ("_dict_views_cached", "_dict_view_cache"))
    pynq.Clocks.device = None  # as pynq 3.1 has it before anybody uses it

    def patch(owner: Any, **values: Any) -> None:
        for name, value in values.items():
            stack.enter_context(mock.patch.object(owner, name, value, create=True))

    state = files.folder / "pynq" / "pl_server"  # in place of pynq's own folder of that name
    patch(embedded_device, open=files.open, os=files.os, Path=files.path, __file__=str(state / "embedded_device.py"))
    patch(embedded_device.EmbeddedDevice, mmap=through(bus, embedded_device.EmbeddedDevice.mmap))
    patch(pynq.interrupt, open=files.open)
    patch(importlib.import_module("pynq.uio"), open=files.open, os=files.os)
    stack.enter_context(mock.patch.dict(pynq.interrupt._InterruptController._uio_devices, clear=True))
    patch(global_state, open=files.open, STATE_DIR=str(state))
    patch(pynq.pl, __file__=str(state.parent / "pl.py"))
    if hasattr(xrt_device, "xrt"):
        _lend_3_0(patch, pynq, xrt_device, memory, faults, xrt)
    else:
        _lend_3_1(patch, pynq, embedded_device, xrt_device, memory, faults, xrt)


def _lend_3_0(patch: Any, pynq: Any, xrt_device: Any, memory: SharedMemory, faults: Faults, xrt: str) -> None:
    patch(pynq.ps, CPU_ARCH=ARCHITECTURE)
    patch(xrt_device, CPU_ARCH_IS_x86=False)
    if xrt == "sourced":
        patch(xrt_device.xrt, libc=core_library(memory, faults), XRT_SUPPORTED=True)
    else:
        patch(xrt_device.xrt, libc=None, XRT_SUPPORTED=False)


def _lend_3_1(
    patch: Any, pynq: Any, embedded_device: Any, xrt_device: Any, memory: SharedMemory, faults: Faults, xrt: str
) -> None:
    patch(embedded_device, platform=SimpleNamespace(machine=lambda: ARCHITECTURE))
    if xrt == "sourced":
        patch(xrt_device, pyxrt=pyxrt_module(memory, faults))
    # Names that this version defines on a board only. They stay, as buffers may outlive the board.
    pynq.buffer.ctypes, pynq.buffer.libc = ctypes, ctypes.CDLL("libc.so.6")
    pynq.buffer.libc.munmap.argtypes, pynq.buffer.libc.munmap.restype = [ctypes.c_void_p, ctypes.c_size_t], ctypes.c_int


def hide_xrt(folder: Path) -> None:
    """Let `import pynq`, which must not have been done yet, find XRT's environment and no XRT; for the rest of the
    process.
    """
    os.environ["XILINX_XRT"] = str(folder / "usr")
    is_file = os.path.isfile
    os.path.isfile = lambda path: path == BOARD_MARK or is_file(path)  # pynq 3.1 tells by it that it is on a board


def _set_aside(stack: ExitStack, owner: Any, names: tuple[str, ...]) -> None:
    """Remove class attributes; `stack` puts them back, and removes those that were not there."""
    before = {name: vars(owner)[name] for name in names if name in vars(owner)}

    def put_back() -> None:
        for name in names:
            if name in before:
                setattr(owner, name, before[name])
            elif name in vars(owner):
                delattr(owner, name)

    stack.callback(put_back)
    for name in before:
        delattr(owner, name)


def install_xclbinutil(folder: Path, python: str) -> None:
    """Put an executable `xclbinutil` into `folder`, to be run by the interpreter `python`."""
    from pynq_cnn.virtual_board.embedded import xclbinutil

    program = folder / "xclbinutil"
    program.write_text(f"#!{python} -IS\n{Path(xclbinutil.__file__).read_text(encoding='utf-8')}", encoding="utf-8")
    program.chmod(0o755)
