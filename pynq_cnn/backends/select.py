"""Choosing a backend by name."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

from pynq_cnn.backends.base import Backend
from pynq_cnn.backends.host import on_board
from pynq_cnn.backends.threads import check_threads
from pynq_cnn.backends.timeout import check_timeout
from pynq_cnn.errors import ArgumentError, BackendError, BoardWarning, CompileError, DeviceError
from pynq_cnn.model import Network

BACKENDS = ("auto", "overlay", "cpu", "kernel", "reference")


def check_name(backend: str) -> None:
    """`ArgumentError` if no backend is called so."""
    if backend not in BACKENDS:
        raise ArgumentError(f"backend must be one of {', '.join(BACKENDS)}, not {backend!r}")


def make_backend(
    network: Network,
    backend: str = "auto",
    batch: int = 64,
    *,
    bitfile: Any = None,
    device: Any = None,
    timeout: float | None = None,
    threads: int | None = None,
) -> Backend:
    """The backend called `backend` for `network`.

    Parameters
    ----------
    network : Network
        The network to run.
    backend : {"auto", "overlay", "cpu", "kernel", "reference"}
        "auto" takes the overlay where there is a device and a bitstream, else cpu, which is the fastest execution on
        the CPU, else, where that was not compiled, the reference. Where there is a board, an answer from the CPU is a
        surprise: it warns, once, and says why and what to do.
    batch : int
        Images worked on at once.
    bitfile, device
        For the overlay: another bitstream or device than the default.
    timeout : float, optional
        For the overlay: seconds to wait for one batch; by the Program's estimated cycles if not given.
    threads : int, optional
        For cpu: how many it may use; as many as the machine has processors if not given.

    Raises
    ------
    ArgumentError
        For another name, or a timeout or a number of threads that is none.
    BackendError
        If the one that was asked for cannot run here.
    CompileError
        If the network does not fit the engine that was asked for.
    """
    check_name(backend)
    check_timeout(timeout)
    check_threads(threads)
    if backend == "auto":
        return _first_that_runs(network, batch, bitfile, device, timeout, threads)
    return _make(network, backend, batch, bitfile, device, timeout, threads)


def on_cpu(network: Network, batch: int = 64, threads: int | None = None) -> Backend:
    """The fastest execution on the CPU, whatever board there is: cpu, or where that was not compiled, the reference.

    Parameters
    ----------
    network : Network
        The network to run.
    batch : int
        Images worked on at once.
    threads : int, optional
        How many cpu may use; as many as the machine has processors if not given.
    """
    check_threads(threads)
    try:
        return _make(network, "cpu", batch, None, None, None, threads)
    except BackendError:  # not compiled: doctor says so, and every network runs all the same
        return _make(network, "reference", batch, None, None, None, threads)


def _make(
    network: Network, backend: str, batch: int, bitfile: Any, device: Any, timeout: float | None, threads: int | None
) -> Backend:
    # Imported here, so that a board's library is touched only where a board is asked for.
    if backend == "overlay":
        from pynq_cnn.backends.overlay import OverlayBackend

        return OverlayBackend(network, batch, bitfile, device, timeout)
    if backend == "kernel":
        from pynq_cnn.backends.kernel import KernelBackend

        return KernelBackend(network, batch)
    if backend == "cpu":
        from pynq_cnn.backends.cpu import CpuBackend

        return CpuBackend(network, batch, threads)
    from pynq_cnn.backends.reference import ReferenceBackend

    return ReferenceBackend(network, batch)


def _first_that_runs(
    network: Network, batch: int, bitfile: Any, device: Any, timeout: float | None, threads: int | None
) -> Backend:
    """The overlay, else cpu, else the reference: on the CPU the fastest first (benchmarks/README.md); both of these
    run every network.
    """
    try:
        return _make(network, "overlay", batch, bitfile, device, timeout, threads)
    except DeviceError:
        raise  # a board that is there and fails is for the user to know, not to be passed over
    except CompileError as error:
        warnings.warn(f"{network.name} runs on the CPU: {error}", BoardWarning, stacklevel=4)
    except BackendError as error:
        if on_board():
            _tell_once(f"this board's CPU answers, not its programmable logic: {error}")
    return on_cpu(network, batch, threads)


@lru_cache(maxsize=16)
def _tell_once(text: str) -> None:
    """The same text is told once in a process, whatever the warnings' filters say."""
    warnings.warn(text, BoardWarning, stacklevel=5)
