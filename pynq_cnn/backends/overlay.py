"""The overlay backend: the engine in a Zynq's programmable logic, through the pynq library."""

from __future__ import annotations

import math
import os
import weakref
from contextlib import ExitStack
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from pynq_cnn.backends.base import Backend
from pynq_cnn.backends.bitstream import find_bitfile
from pynq_cnn.compiler import Hardware, compile_network
from pynq_cnn.errors import ArgumentError, BackendError, DeviceError
from pynq_cnn.model import Network

if TYPE_CHECKING:
    from pynq_cnn.backends.accelerator import Accelerator


class OverlayBackend(Backend):
    """Runs a network's Program on a PYNQ-Z2, or on a virtual one.

    Backends in one process share the device as long as they use the same bitstream, and take turns, batch by batch. Another process has to
    wait until all of them are closed.

    Parameters
    ----------
    network : Network
        What to run.
    batch : int
        Images of one run of the engine. The contiguous memory that is taken grows with it.
    bitfile : str or path-like, optional
        The `.bit`, with its `.hwh` next to it; the package's own if not given.
    device : pynq.Device, optional
        Where to run; pynq's active device if not given.
    timeout : float
        Seconds to wait for one batch.

    Attributes
    ----------
    program : Program
        What it executes, compiled for the engine that was found.
    build : int
        First 32 bits of the SHA-256 of the sources that the engine was built from.

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
    ...     backend.run(np.array([[[[3], [5]]]], np.uint8))
    array([[8]], dtype=int32)
    """

    name = "overlay"

    def __init__(
        self,
        network: Network,
        batch: int = 64,
        bitfile: str | os.PathLike[str] | None = None,
        device: Any = None,
        timeout: float = 10.0,
    ) -> None:
        super().__init__(network, batch)
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not math.isfinite(timeout) or timeout <= 0:
            raise ArgumentError(f"timeout must be a positive number of seconds, not {timeout!r}")
        self._timeout = float(timeout)
        resources = ExitStack()
        self._give_back = weakref.finalize(self, resources.close)  # by close(), or when nobody holds this backend any more, or at exit
        try:
            self._accelerator = _open(bitfile, device, self._timeout)
            resources.callback(self._accelerator.release)
            with self._accelerator.lock:
                identity = self._accelerator.identity
                _check_sizes(identity.hardware)
                self.build = identity.build
                self.program = compile_network(network, hardware=identity.hardware, capacity=self.batch)
                self._buffer: Any = self._accelerator.allocate(self.program.memory_words)
                resources.callback(self._accelerator.free, self._buffer)
        except BaseException:
            self._give_back()
            raise
        self._constants_written = False

    def _run(self, images: np.ndarray) -> np.ndarray:
        program, buffer, n = self.program, self._buffer, len(images)
        with self._accelerator.lock:
            mark = perf_counter()
            self._write_constants()
            program.write_images(buffer, images)
            mark = self._spent("pack", mark)
            buffer[program.input_address :][: n * program.input_stride].flush()
            mark = self._spent("flush", mark)
            self._constants_written = False  # until the run has gone well
            self._accelerator.run(program, buffer, n, self._timeout)
            self._constants_written = True
            mark = self._spent("run", mark)
            buffer[program.output_address :][: n * program.output_stride].invalidate()
            mark = self._spent("invalidate", mark)
            accumulators = program.read_accumulators(buffer, n)
            self._spent("unpack", mark)
        return accumulators

    def _write_constants(self) -> None:
        if not self._constants_written:
            constants = self._buffer[: len(self.program.constants)]
            constants[:] = self.program.constants
            constants.flush()
            self._constants_written = True

    def close(self) -> None:
        """Give the contiguous memory and the accelerator back, after the batch that is running. Calling it again does nothing."""
        with self._lock:
            super().close()
            self._buffer = None
            self._give_back()


def _open(bitfile: str | os.PathLike[str] | None, device: Any, timeout: float) -> Accelerator:
    path = find_bitfile(bitfile)  # first: without a bitstream there is no need for pynq
    try:
        import pynq

        from pynq_cnn.backends import accelerator
    except ImportError as error:
        raise BackendError(f"the overlay backend needs the pynq library ({error}); pip install 'pynq_cnn[board]'") from error
    if device is None:
        device = accelerator.default_device()
    elif not isinstance(device, pynq.Device):
        raise ArgumentError(f"device must be a pynq.Device, not {device!r:.100}")
    return accelerator.Accelerator.open(path, device, timeout)


def _check_sizes(hardware: Hardware) -> None:
    """`DeviceError` unless this version's compiler can pack for it."""
    wanted = Hardware()
    if (hardware.pe, hardware.simd) != (wanted.pe, wanted.simd) or not hardware.parameter_groups:
        raise DeviceError(
            f"the engine says it has {hardware.pe} x {hardware.simd} multipliers and {hardware.parameter_groups} parameter groups, but "
            f"this pynq_cnn compiles for {wanted.pe} x {wanted.simd}; install the one that the bitstream was built with, or rebuild it"
        )
