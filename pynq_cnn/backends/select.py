"""Choosing a backend by name."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

from pynq_cnn.backends.base import Backend
from pynq_cnn.backends.host import on_board
from pynq_cnn.backends.timeout import check_timeout
from pynq_cnn.errors import ArgumentError, BackendError, BoardWarning, CompileError, DeviceError
from pynq_cnn.model import Network

BACKENDS = ("auto", "overlay", "kernel", "reference")


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
) -> Backend:
    """The backend called `backend` for `network`.

    Parameters
    ----------
    network : Network
        The network to run.
    backend : {"auto", "overlay", "kernel", "reference"}
        "auto" takes the overlay where there is a device and a bitstream, else the fastest execution on the CPU, which
        is the reference. Where there is a board, an answer from the CPU is a surprise: it warns, once, and says why and
        what to do.
    batch : int
        Images worked on at once.
    bitfile, device
        For the overlay: another bitstream or device than the default.
    timeout : float, optional
        For the overlay: seconds to wait for one batch; by the Program's estimated cycles if not given.

    Raises
    ------
    ArgumentError
        For another name, or a timeout that is none.
    BackendError
        If the one that was asked for cannot run here.
    CompileError
        If the network does not fit the engine that was asked for.
    """
    check_name(backend)
    check_timeout(timeout)
    if backend == "auto":
        return _first_that_runs(network, batch, bitfile, device, timeout)
    return _make(network, backend, batch, bitfile, device, timeout)


def _make(network: Network, backend: str, batch: int, bitfile: Any, device: Any, timeout: float | None) -> Backend:
    # Imported here, so that a board's library is touched only where a board is asked for.
    if backend == "overlay":
        from pynq_cnn.backends.overlay import OverlayBackend

        return OverlayBackend(network, batch, bitfile, device, timeout)
    if backend == "kernel":
        from pynq_cnn.backends.kernel import KernelBackend

        return KernelBackend(network, batch)
    from pynq_cnn.backends.reference import ReferenceBackend

    return ReferenceBackend(network, batch)


def _first_that_runs(network: Network, batch: int, bitfile: Any, device: Any, timeout: float | None) -> Backend:
    """The overlay, or else the reference: of the two on the CPU the faster (benchmarks/README.md), and one that runs
    every network.
    """
    try:
        return _make(network, "overlay", batch, bitfile, device, timeout)
    except DeviceError:
        raise  # a board that is there and fails is for the user to know, not to be passed over
    except CompileError as error:
        warnings.warn(f"{network.name} runs on the reference: {error}", BoardWarning, stacklevel=4)
    except BackendError as error:
        if on_board():
            _tell_once(f"this board's CPU answers, not its programmable logic: {error}")
    return _make(network, "reference", batch, bitfile, device, timeout)


@lru_cache(maxsize=16)
def _tell_once(text: str) -> None:
    """The same text is told once in a process, whatever the warnings' filters say."""
    warnings.warn(text, BoardWarning, stacklevel=5)
