"""The overlay backend: the engine in a Zynq's programmable logic, through the pynq library."""

from __future__ import annotations

import os
import weakref
from contextlib import ExitStack
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from pynq_cnn.backends.base import Backend
from pynq_cnn.backends.overlay.bitstream import find_bitfile
from pynq_cnn.backends.overlay.library import load_pynq
from pynq_cnn.backends.timeout import check_timeout
from pynq_cnn.compiler import Hardware, compile_network
from pynq_cnn.errors import ArgumentError, DeviceError
from pynq_cnn.model import Network

if TYPE_CHECKING:
    from pynq_cnn.backends.overlay.accelerator import Accelerator

# A deadline is so many times the estimate, and no shorter than the floor: the estimate knows nothing of who else uses
# the memory.
DEADLINE_FACTOR, DEADLINE_FLOOR = 20.0, 5.0


class OverlayBackend(Backend):
    """Runs a network's Program on a PYNQ-Z2, or on a virtual one.

    Backends in one process share the device as long as they use the same bitstream, and take turns, batch by batch.
    Another process has to wait until all of them are closed. While the engine works on one batch, the next is written
    and the results of the last are read.

    Parameters
    ----------
    network : Network
        The network to run.
    batch : int
        Images of one run of the engine. The contiguous memory that is taken grows with it.
    bitfile : str or path-like, optional
        The `.bit`, with its `.hwh` next to it; the package's own if not given.
    device : pynq.Device, optional
        Where to run; pynq's active device if not given.
    timeout : float, optional
        Seconds to wait for one batch; if not given, 20 times what the Program's cycles are estimated to take, and at
        least 5.

    Attributes
    ----------
    program : Program
        The program that it executes, compiled for the engine that was found.
    build : int
        First 32 bits of the SHA-256 of the sources that the engine was built from.
    timeout : float
        Seconds to wait for one batch.

    Raises
    ------
    ArgumentError
        If an argument is unusable.
    BackendError
        If the bitstream, pynq or a device is missing.
    DeviceError
        If the device is there but cannot be used.
    CompileError
        If a layer does not fit the engine.

    Examples
    --------
    On the virtual board (without `device` and `bitfile`, the same on the board):

    >>> from pynq_cnn.model import Dense, InputSpec, OutputSpec
    >>> from pynq_cnn.virtual_board import VirtualBoard
    >>> layer = Dense("fc", np.array([[1, -1]], np.int8), np.array([10], np.int32))
    >>> output = OutputSpec(np.ones(1, np.float32), np.zeros(1, np.float32), "values")
    >>> network = Network("tiny", InputSpec(1, 2, 1, "L", (0.0,), (1.0,)), (layer,), output, ("only",))
    >>> with VirtualBoard() as board, OverlayBackend(network, device=board.device, bitfile=board.bitfile) as backend:
    ...     backend.run(np.array([[[[3], [5]]]], np.uint8)).tolist()
    [[8]]
    """

    name = "overlay"

    def __init__(
        self,
        network: Network,
        batch: int = 64,
        bitfile: str | os.PathLike[str] | None = None,
        device: Any = None,
        timeout: float | None = None,
    ) -> None:
        super().__init__(network, batch)
        wanted = check_timeout(timeout)
        resources = ExitStack()
        # By close(), or when nobody holds this backend any more, or at exit.
        self._give_back = weakref.finalize(self, resources.close)
        try:
            self._accelerator = _open(bitfile, device)
            resources.callback(self._accelerator.release)
            with self._accelerator.lock:
                identity = self._accelerator.identity
                _check_sizes(identity.hardware)
                self.build = identity.build
                self.program = compile_network(network, hardware=identity.hardware, capacity=self.batch)
                estimate = self.program.cycles / (self._accelerator.design.megahertz * 1e6)
                self.timeout = max(DEADLINE_FLOOR, DEADLINE_FACTOR * estimate) if wanted is None else wanted
                self._buffer: Any = self._accelerator.allocate(self.program.memory_words)
                resources.callback(self._accelerator.free, self._buffer)
        except BaseException:
            self._give_back()
            raise
        self._constants_written = False

    def run(self, images: np.ndarray) -> np.ndarray:
        self._accelerator.refuse_forks()
        return super().run(images)

    def _run_batches(self, batches: list[np.ndarray], results: list[np.ndarray]) -> None:
        """Batch by batch in the two slots in turn: the host fills one and empties it while the engine works on the
        other.
        """
        for k, batch in enumerate(batches):
            with self._accelerator.lock:
                mark = perf_counter()
                self._write_constants()
                self._spent("pack", mark)
                if k == 0:
                    self._pack(batch, 0)

                def meanwhile(k: int = k) -> None:
                    if k > 0:
                        results[k - 1][:] = self._unpack(len(batches[k - 1]), (k - 1) % 2)
                    if k + 1 < len(batches):
                        self._pack(batches[k + 1], (k + 1) % 2)

                self._constants_written = False  # until the run has gone well
                before = sum(self.last_seconds.values())
                mark = perf_counter()
                self._accelerator.run(self.program, self._buffer, k % 2, len(batch), self.timeout, meanwhile)
                # Packing and unpacking, which have booked their time themselves.
                aside = sum(self.last_seconds.values()) - before
                self._spent("run", mark + aside)
                self._constants_written = True
                if k + 1 == len(batches):
                    results[k][:] = self._unpack(len(batch), k % 2)

    def _pack(self, images: np.ndarray, slot: int) -> None:
        mark = perf_counter()
        self.program.write_images(self._buffer, images, slot)
        mark = self._spent("pack", mark)
        self._buffer[self.program.fresh(len(images), slot)].flush()
        self._spent("flush", mark)

    def _unpack(self, n: int, slot: int) -> np.ndarray:
        mark = perf_counter()
        self._buffer[self.program.results(n, slot)].invalidate()
        mark = self._spent("invalidate", mark)
        if not self.program.written(self._buffer, n, slot):
            self._constants_written = False
            self._accelerator.distrust()
            raise DeviceError(
                f"the engine says that it has finished, but it has written no results for image {n - 1} of the batch:"
                " something else has changed its registers or its memory. The next call writes both anew"
            )
        accumulators = self.program.read_accumulators(self._buffer, n, slot)
        self._spent("unpack", mark)
        return accumulators

    def _write_constants(self) -> None:
        if not self._constants_written:
            constants = self._buffer[: len(self.program.constants)]
            constants[:] = self.program.constants
            constants.flush()
            self._constants_written = True

    def close(self) -> None:
        """Give the contiguous memory and the accelerator back, after the batch that is running. Calling it again does
        nothing.
        """
        with self._lock:
            super().close()
            self._buffer = None
            self._give_back()


def _open(bitfile: str | os.PathLike[str] | None, device: Any) -> Accelerator:
    path = find_bitfile(bitfile)  # first: without a bitstream there is no need for pynq
    pynq = load_pynq("the overlay backend")
    from pynq_cnn.backends.overlay import accelerator

    if device is None:
        device = accelerator.default_device()
    elif not isinstance(device, pynq.Device):
        raise ArgumentError(f"device must be a pynq.Device, not {device!r:.100}")
    return accelerator.Accelerator.open(path, device)


def _check_sizes(hardware: Hardware) -> None:
    """`DeviceError` unless this version's compiler can pack for it."""
    wanted = Hardware()
    if (hardware.pe, hardware.simd) != (wanted.pe, wanted.simd) or not hardware.parameter_groups:
        raise DeviceError(
            f"the engine says it has {hardware.pe} x {hardware.simd} multipliers and {hardware.parameter_groups}"
            f" parameter groups, but this pynq_cnn compiles for {wanted.pe} x {wanted.simd}; install the one that the"
            " bitstream was built with, or rebuild it"
        )
