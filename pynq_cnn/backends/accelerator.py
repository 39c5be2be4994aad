"""One bitstream on one device, shared by the backends of this process. Importing this module imports `pynq`."""

from __future__ import annotations

import os
import threading
import warnings
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pynq
from pynq.buffer import PynqBuffer

from pynq_cnn.backends.driver import EngineDriver, Identity
from pynq_cnn.backends.process_lock import ProcessLock
from pynq_cnn.compiler import Hardware, Program
from pynq_cnn.errors import BackendError, DeviceError

ENGINE_TYPE = EngineDriver.bindto[0].rpartition(":")[0]
PORT_BITS = 64

# The Zynq-7000's AXI FIFO interfaces, one block for each of S_AXI_HP0..3 (UG585, AFI_RDCHAN_CTRL and AFI_WRCHAN_CTRL). Bit 0 makes the port
# 32 bits wide. The boot loader sets it and loading a bitstream does not; pynq corrects it on UltraScale+ only. Xilinx's zynq-afi driver
# for Linux writes the same bits.
AFI_BASE, AFI_BYTES, AFI_CONTROLS, AFI_32_BITS = 0xF800_8000, 0x1000, (0x00, 0x14), 1

NO_DEVICE = (
    "pynq finds no device here ({error}). On a PYNQ-Z2: be root, as Jupyter is (sudo -i), and source the environment first "
    "(source /etc/profile.d/pynq_venv.sh; source /etc/profile.d/xrt_setup.sh), then start Python anew. Without a board: the virtual one "
    "(pynq_cnn.virtual_board), or backend='kernel'"
)

_registry: dict[str, Accelerator] = {}  # by the device's tag
_registry_lock = threading.Lock()
_abandoned: list[PynqBuffer] = []  # never freed: an engine that cannot be stopped may write to them


def default_device() -> pynq.Device:
    """pynq's active device; `BackendError`, with the remedies, if there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "No devices found": the error says more
        try:
            return pynq.Device.active_device
        except (RuntimeError, OSError) as error:
            raise BackendError(NO_DEVICE.format(error=error)) from error


class Accelerator:
    """The engine in the programmable logic of one device, and who may use it.

    Made by `open`, given back by `release`. All other methods are called with `lock` held.

    Parameters
    ----------
    bitfile : Path
        Bitstream, with its `.hwh`.
    device : pynq.Device
        Where to load it.
    timeout : float
        Seconds to wait for the engine's identity.

    Attributes
    ----------
    identity : Identity
        What the engine said it is when it was loaded last.
    lock : threading.RLock
        Held by the thread that works with the engine.

    Raises
    ------
    DeviceError
        If it cannot be loaded, is not the engine, or another process has it.
    """

    def __init__(self, bitfile: Path, device: pynq.Device, timeout: float) -> None:
        self.bitfile = bitfile
        self.device = device
        self.lock = threading.RLock()
        self._users = 0
        self._timeout = timeout
        self._process = os.getpid()
        self._process_lock = ProcessLock(device.tag)
        self._ready = False  # loaded, identified, and at rest
        self._process_lock.acquire()
        try:
            self._overlay = self._guard("read", lambda: pynq.Overlay(str(bitfile), download=False, ignore_version=True, device=device))
            self._engine_name = self._find_engine()
            self._ports = self._wide_ports()
            self.load()
        except BaseException:
            self._process_lock.release()
            raise

    @classmethod
    def open(cls, bitfile: Path, device: pynq.Device, timeout: float) -> Accelerator:
        """The accelerator of `device`: the one that this process has loaded already, or a new one."""
        with _registry_lock:
            found = _registry.get(device.tag)
            if found is None:
                found = _registry[device.tag] = cls(bitfile, device, timeout)
            elif found.bitfile != bitfile:
                raise DeviceError(f"{device.tag} is in use with {found.bitfile}; close what uses it before loading {bitfile}")
            found._users += 1
            return found

    def release(self) -> None:
        """Say that one user needs it no more; the last one gives it to other processes."""
        if self._forked():
            return
        with _registry_lock:
            self._users -= 1
            if self._users == 0:
                del _registry[self.device.tag]
                self._process_lock.release()

    def load(self) -> None:
        """Load the bitstream, which resets the engine, and check what it is."""
        self._ready = False
        self._reset()
        self._driver: EngineDriver = reduce(getattr, self._engine_name.split("/"), self._overlay)
        self.identity: Identity = self._driver.identify(self._timeout)
        self._ready = True

    def allocate(self, words: int) -> PynqBuffer:
        """uint64 [words] in contiguous memory; `DeviceError` if there is not enough."""
        try:
            return pynq.allocate((words,), dtype=np.uint64, target=self.device)
        except (RuntimeError, OSError, MemoryError) as error:
            raise DeviceError(
                f"not enough contiguous memory: {words * 8 / 2**20:.1f} MiB are needed in one piece ({error}). Take a smaller batch=, "
                "close other models, free other pynq.allocate buffers, or shut other notebooks' kernels down"
            ) from error

    def run(self, program: Program, buffer: PynqBuffer, images: int, timeout: float) -> None:
        """Run a Program that is flushed to `buffer`. After an error the next call loads the bitstream again."""
        if self._forked():
            raise DeviceError(f"process {self._process} owns the accelerator, and this is its child {os.getpid()}; use it in one of them")
        if not self._ready or not self._overlay.is_loaded():  # not loaded: somebody else in this process has loaded another overlay
            self.load()
        check_hardware(self.identity.hardware, program)
        self._ready = False  # also after KeyboardInterrupt
        self._driver.execute(program, buffer.device_address, images, timeout)
        self._ready = True

    def free(self, buffer: PynqBuffer) -> None:
        """Give a buffer back, once the engine is certain not to write to it any more."""
        if self._forked():
            return
        with self.lock:
            if not self._ready and not self._driver.idle():
                try:
                    self._reset()
                except DeviceError as error:
                    _abandoned.append(buffer)
                    warnings.warn(f"{buffer.nbytes} bytes stay taken, as the engine may still write there: {error}", stacklevel=2)
                    return
            buffer.freebuffer()

    def _forked(self) -> bool:
        """Whether this is a copy in a child process: what it holds is its parent's."""
        return os.getpid() != self._process

    def _reset(self) -> None:
        self._guard("load", self._overlay.download)
        self._guard("set the clock of", self._set_clock)
        self._guard("set the memory ports of", self._widen_ports)

    def _guard(self, action: str, call: Any) -> Any:
        """`call()`, with whatever pynq raises made into a DeviceError."""
        try:
            return call()
        except Exception as error:
            denied = isinstance(error, PermissionError) or "root permissions" in str(error).lower()  # pynq raises it as an OSError
            remedy = "be root, as Jupyter is (sudo -i)" if denied else "check that the .bit is whole and for this board, or restart it"
            what = f"{self.bitfile.name} on {self.device.tag}"
            raise DeviceError(f"cannot {action} {what}: {type(error).__name__}: {error}; {remedy}") from error

    def _find_engine(self) -> str:
        names = [name for name, details in self._overlay.ip_dict.items() if (details.get("type") or "").startswith(f"{ENGINE_TYPE}:")]
        if len(names) != 1:
            have = ", ".join(str(details.get("type")) for details in self._overlay.ip_dict.values())
            raise DeviceError(f"{self.bitfile.stem}.hwh has {len(names)} engines of type {ENGINE_TYPE}, and one is needed; it has {have}")
        return names[0]

    def _processor(self) -> dict[str, Any]:
        for details in self._overlay.ip_dict.values():
            if ":processing_system7:" in (details.get("type") or ""):
                return details["parameters"]
        raise DeviceError(f"{self.bitfile.stem}.hwh has no processing_system7; it is not for a Zynq-7000 such as the PYNQ-Z2")

    def _wide_ports(self) -> list[int]:
        """The memory ports that the design uses; all must be 64 bits wide."""
        parameters = self._processor()
        used = [i for i in range(4) if str(parameters.get(f"PCW_USE_S_AXI_HP{i}", 0)) == "1"]
        widths = {f"S_AXI_HP{i}": int(parameters.get(f"PCW_S_AXI_HP{i}_DATA_WIDTH", PORT_BITS)) for i in used}
        narrow = {name: bits for name, bits in widths.items() if bits != PORT_BITS}
        if narrow or not used:
            have = ", ".join(f"{name} of {bits} bits" for name, bits in narrow.items()) or "no S_AXI_HP port"
            raise DeviceError(
                f"{self.bitfile.stem}.hwh has {have}, but the engine's memory ports are {PORT_BITS} bits wide; rebuild the bitstream"
            )
        return used

    def _set_clock(self) -> None:
        """The design's clock, whatever the dividers in the `.hwh`: they assume the crystal that Vivado was told of."""
        megahertz = float(self._processor()["PCW_FPGA0_PERIPHERAL_FREQMHZ"])
        pynq.Clocks.fclk0_mhz = megahertz

    def _widen_ports(self) -> None:
        for port in self._ports:
            mmio = pynq.MMIO(AFI_BASE + AFI_BYTES * port, AFI_BYTES, device=self.device)
            for control in AFI_CONTROLS:
                value = mmio.read(control)
                if value & AFI_32_BITS:
                    mmio.write(control, value & ~AFI_32_BITS)


def check_hardware(hardware: Hardware, program: Program) -> None:
    """`DeviceError` if `program` was not compiled for `hardware`."""
    if hardware != program.hardware:
        raise DeviceError(f"the engine is {hardware}, but the Program was compiled for {program.hardware}; make a new backend for it")
