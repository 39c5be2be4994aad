"""One bitstream on one device, shared by the backends of this process. Importing this module imports `pynq`."""

from __future__ import annotations

import asyncio
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pynq
from pynq.buffer import PynqBuffer

from pynq_cnn.backends.forks import give_lock, renew_after_fork
from pynq_cnn.backends.overlay.design import Design, whole
from pynq_cnn.backends.overlay.driver import EngineDriver, Identity
from pynq_cnn.backends.overlay.interrupt import EngineInterrupt
from pynq_cnn.backends.overlay.library import SOURCE
from pynq_cnn.backends.overlay.loaded import loaded_on, stamp_of
from pynq_cnn.backends.overlay.process_lock import ProcessLock
from pynq_cnn.compiler import Hardware, Program
from pynq_cnn.errors import BackendError, BoardWarning, DeviceError

ANSWER_SECONDS = 5.0  # for a run of 0 instructions, or for what a killed process has left running

# The Zynq-7000's AXI FIFO interfaces, one block for each of S_AXI_HP0..3 (UG585, AFI_RDCHAN_CTRL and AFI_WRCHAN_CTRL).
# Bit 0 makes the port 32 bits wide. The boot loader sets it and loading a bitstream does not; pynq corrects it on
# UltraScale+ only. Xilinx's zynq-afi driver for Linux writes the same bits.
AFI_BASE, AFI_BYTES, AFI_CONTROLS, AFI_32_BITS = 0xF800_8000, 0x1000, (0x00, 0x14), 1

# The end of the path of what a PYNQ image's boot.py loads.
BOOT_OVERLAY = ("pynq", "overlays", "base", "base.bit")

NO_DEVICE = (
    "pynq finds no device here ({error}); on a PYNQ-Z2 be root, as Jupyter is (sudo -i), and source the environment"
    f" first ({SOURCE}), then start Python anew; without a board take the virtual one (pynq_cnn.virtual_board), or"
    " backend='kernel'"
)


class _Registry:
    """The accelerators of this process, by their devices' tags; none in a forked child, whose parent has them."""

    lock: AbstractContextManager[bool]

    def __init__(self) -> None:
        # Re-entrant: a backend that nobody holds any more is given back wherever that is noticed.
        give_lock(self, "lock")
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        self.accelerators: dict[str, Accelerator] = {}
        self.own_loads: dict[str, tuple[Any, ...]] = {}  # what this process has loaded by `load` itself, last
        self.abandoned: dict[str, list[PynqBuffer]] = {}  # an engine that cannot be stopped may still write to them


_registry = _Registry()


def default_device() -> pynq.Device:
    """pynq's active device; `BackendError`, with the remedies, if there is none."""
    if not vars(pynq.Device).get("_devices", True):
        # An earlier search that failed half way counts as one that found nothing: search again.
        del pynq.Device._devices
    _have_event_loop()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "No devices found": the error says more
        try:
            return pynq.Device.active_device
        except Exception as error:  # without XRT pynq raises half a dozen types here (AttributeError, NameError, ...)
            raise BackendError(NO_DEVICE.format(error=f"{type(error).__name__}: {error}")) from error


def _have_event_loop() -> None:
    """Give this thread an event loop if it has none, as pynq's class for boards asks for one.

    Only the main thread has one from the start, and it has none any more after `asyncio.run`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            asyncio.get_event_loop()
        except RuntimeError:
            asyncio.set_event_loop(asyncio.new_event_loop())


class Accelerator:
    """The engine in the programmable logic of one device, and who may use it.

    Made by `open`, given back by `release`. All other methods are called with `lock` held, but for `free`.

    Parameters
    ----------
    bitfile : Path
        Bitstream, with its `.hwh`.
    device : pynq.Device
        Where to load it, unless it is there already.

    Attributes
    ----------
    identity : Identity
        The engine's identity when it was loaded last.
    design : Design
        The facts in its `.hwh`.
    lock : threading.RLock
        Held by the thread that works with the engine.

    Raises
    ------
    DeviceError
        If it cannot be loaded, is not the engine, or another process has it.
    """

    lock: AbstractContextManager[bool]

    def __init__(self, bitfile: Path, device: pynq.Device) -> None:
        self.bitfile = bitfile
        self.device = device
        give_lock(self, "lock")
        self._users = 0
        self._process = os.getpid()
        self._process_lock = ProcessLock(device.tag)
        self._loaded = False  # the bitstream, by this object or by whoever was here before
        self._known = False  # the engine has said what it is, since it was loaded
        self._ready = False  # and it is at rest
        self._running = False  # between start and end of a run or a load
        self._until = 0.0  # when the run that is under way has to be over
        self._waiting: list[PynqBuffer] = []  # to be freed when it is
        try:
            self._process_lock.acquire()
            before = loaded_on(device)
            self._overlay = self._guard(
                "read", lambda: pynq.Overlay(str(bitfile), download=False, ignore_version=True, device=device)
            )
            self.design = Design.of(self._overlay.ip_dict, f"{bitfile.stem}.hwh")
            self._driver: EngineDriver = self._guard(
                "map", lambda: reduce(getattr, self.design.engine.split("/"), self._overlay)
            )
            ours = before.is_of(bitfile) or _registry.own_loads.get(device.tag) == self._load_record()
            if not (ours and self._take_over()):
                if before.bitfile is not None and _registry.own_loads.get(device.tag, [None])[-1] != before.stamp:
                    self._warn_of_replacing(before.bitfile)
                self.load()
        except BaseException:
            self._process_lock.release()
            raise

    @classmethod
    def open(cls, bitfile: Path, device: pynq.Device) -> Accelerator:
        """The accelerator of `device`: the one that this process uses already, or a new one."""
        with _registry.lock:
            found = _registry.accelerators.get(device.tag)
            if found is None:
                found = _registry.accelerators[device.tag] = cls(bitfile, device)
            elif found.bitfile != bitfile:
                raise DeviceError(
                    f"{device.tag} is in use with {found.bitfile}; close what uses it before loading {bitfile}"
                )
            found._users += 1
            return found

    def release(self) -> None:
        """Say that one user needs it no more; the last one gives it to other processes."""
        if self._forked():
            return
        with _registry.lock:
            self._users -= 1
            if self._users == 0:
                del _registry.accelerators[self.device.tag]
                self._process_lock.release()

    def load(self) -> None:
        """Load the bitstream, which resets the engine, and ask it what it is."""
        self._download()
        self._identify()

    def _download(self) -> None:
        self._loaded = self._known = self._ready = False
        self._guard("load", self._overlay.download)
        self._loaded, self._stamp = True, stamp_of(self.device)
        _registry.own_loads[self.device.tag] = self._load_record()
        for buffer in _registry.abandoned.pop(self.device.tag, []):  # whatever wrote there is gone
            buffer.freebuffer()

    def _take_over(self) -> bool:
        """Use the engine that is loaded already; False if it does not answer as one that is at rest."""
        if not self._driver.settled(time.monotonic() + ANSWER_SECONDS):
            return False
        try:
            self._identify()
        except DeviceError:
            return False
        self._loaded, self._stamp = True, stamp_of(self.device)
        return True

    def _identify(self) -> None:
        self._guard("set the clock of", self._set_clock)
        self._guard("set the memory ports of", self._widen_ports)
        self._driver.interrupt = None
        self.identity: Identity = self._driver.identify(ANSWER_SECONDS)
        self._driver.interrupt = EngineInterrupt.of(self._overlay, self.design.engine, self._driver)
        self._known = self._ready = True

    def _load_record(self) -> tuple[Any, ...]:
        """Tells one load of one file from every other."""
        found = self.bitfile.stat()
        return str(self.bitfile), found.st_ino, found.st_size, found.st_mtime_ns, stamp_of(self.device)

    def allocate(self, words: int) -> PynqBuffer:
        """uint64 [words] in contiguous memory; `DeviceError` if there is not enough.

        Not cached by the processor, which is pynq's default: images are written once and front to back, a few words of
        results are read, and the ports of the engine are not coherent. Cached memory would be faster to read, but pynq
        3.1 writes back and invalidates a whole buffer for any part of it, and this one holds the weights too.
        """
        try:
            return pynq.allocate((words,), dtype=np.uint64, target=self.device)
        except (RuntimeError, OSError, MemoryError) as error:
            raise DeviceError(
                f"not enough contiguous memory: {words * 8 / 2**20:.1f} MiB are needed in one piece ({error}). Take a"
                " smaller batch=, close other models, free other pynq.allocate buffers, or shut other notebooks'"
                " kernels down"
            ) from error

    def refuse_forks(self) -> None:
        """`DeviceError` in a forked child: the engine is its parent's."""
        if self._forked():
            raise DeviceError(
                f"process {self._process} owns the accelerator, and this is its child {os.getpid()}; use it in one of"
                " them"
            )

    def run(
        self,
        program: Program,
        buffer: PynqBuffer,
        slot: int,
        images: int,
        timeout: float,
        meanwhile: Callable[[], None],
    ) -> None:
        """Run a Program that is flushed to `buffer`, and call `meanwhile` while the engine works.

        After an error the next call waits for the engine, or loads the bitstream again.
        """
        self.refuse_forks()
        with self._working():
            self._recover()
            check_hardware(self.identity.hardware, program)
            self._ready = False  # after KeyboardInterrupt either
            self._until = time.monotonic() + timeout
            self._driver.start(program, buffer.device_address, slot, images)
            self._until = time.monotonic() + timeout  # a virtual board does the work before it lets go
            meanwhile()
            self._driver.wait(self._until, timeout)
            self._driver.check(program)
            self._ready = True

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Have buffers that are collected meanwhile freed at the end: the garbage collector calls `free` from
        anywhere.
        """
        try:
            self._running = True
            yield
        finally:
            self._running = False
            waiting, self._waiting = self._waiting, []
            for buffer in waiting:
                self.free(buffer)

    def distrust(self) -> None:
        """Write all registers before the next run: somebody may have changed them."""
        self._driver.forget()

    def _recover(self) -> None:
        """Make sure that the engine is loaded and at rest, before anything is written to its registers."""
        untouched = stamp_of(self.device) == self._stamp
        if untouched:
            if not self._loaded or (not self._ready and not self._driver.settled(self._until)):
                self.load()
            if not self._known:
                self._identify()
            if self._driver.is_engine():
                return
        # Somebody has loaded something, or the engine has forgotten what it was asked.
        loaded = loaded_on(self.device)
        if loaded.is_of(self.bitfile) and self._take_over():
            return
        self._warn_of_replacing(None if untouched else loaded.bitfile)
        self.load()

    def _warn_of_replacing(self, other: str | None) -> None:
        if other == str(self.bitfile):
            return
        name, again = ("another program's design", "") if other is None else (Path(other).name, f"({other!r})")
        # pynq's record does not tell who loaded it, nor whether that was at the start: the clock of a board jumps then.
        boot = Path(other or "").parts[-len(BOOT_OVERLAY) :] == BOOT_OVERLAY
        unless = "; PYNQ images load it whenever they start: if nobody did since, nothing is lost" if boot else ""
        warnings.warn(
            f"{self.bitfile.name} replaces {name} in the programmable logic; to have that again, close what uses"
            f" pynq_cnn (pynq_cnn.release() for classify) and load it with pynq.Overlay{again}{unless}",
            BoardWarning,
            stacklevel=2,
        )

    def free(self, buffer: PynqBuffer) -> None:
        """Give a buffer back, once the engine is certain not to write to it any more."""
        if self._forked():
            return
        with self.lock:
            if self._running:
                self._waiting.append(buffer)
                return
            if not self._ready and not (self._loaded and self._driver.settled(self._until)):
                try:
                    with self._working():
                        self._download()
                except DeviceError as error:
                    _registry.abandoned.setdefault(self.device.tag, []).append(buffer)
                    warnings.warn(
                        f"{buffer.nbytes} bytes stay taken until the bitstream can be loaded again, "
                        f"as the engine may still write there: {error}",
                        BoardWarning,
                        stacklevel=2,
                    )
                    return
            buffer.freebuffer()

    def _forked(self) -> bool:
        """Whether this is a copy in a child process: what it holds is its parent's."""
        return os.getpid() != self._process

    def _guard(self, action: str, call: Callable[[], Any]) -> Any:
        """`call()`, with whatever pynq raises made into a DeviceError."""
        try:
            return call()
        except DeviceError:
            raise
        except Exception as error:
            # pynq raises it as an OSError.
            denied = isinstance(error, PermissionError) or "root permissions" in str(error).lower()
            remedy = "check that the .bit is whole and for this board, or restart it"
            if denied:
                remedy = "be root, as Jupyter is (sudo -i)"
            elif action == "read":
                remedy = whole(f"{self.bitfile.stem}.hwh")
            what = f"{self.bitfile.stem}.hwh" if action == "read" else self.bitfile.name
            raise DeviceError(
                f"cannot {action} {what} on {self.device.tag}: {type(error).__name__}: {error}; {remedy}"
            ) from error

    def _set_clock(self) -> None:
        """The design's clock, whatever the dividers in the `.hwh`: they assume the crystal that Vivado was told of."""
        pynq.Clocks.fclk0_mhz = self.design.megahertz

    def _widen_ports(self) -> None:
        for port in self.design.ports:
            mmio = pynq.MMIO(AFI_BASE + AFI_BYTES * port, AFI_BYTES, device=self.device)
            for control in AFI_CONTROLS:
                value = mmio.read(control)
                if value & AFI_32_BITS:
                    mmio.write(control, value & ~AFI_32_BITS)


def check_hardware(hardware: Hardware, program: Program) -> None:
    """`DeviceError` if `program` was not compiled for `hardware`."""
    if hardware != program.hardware:
        raise DeviceError(
            f"the engine is {hardware}, but the Program was compiled for {program.hardware}; make a new backend for it"
        )
