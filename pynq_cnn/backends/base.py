"""Base of every backend: images in, int32 accumulators out."""

from __future__ import annotations

from contextlib import AbstractContextManager
from time import perf_counter
from types import TracebackType
from typing import TypeVar

import numpy as np

from pynq_cnn.backends.forks import give_lock
from pynq_cnn.checks import integer
from pynq_cnn.errors import ArgumentError, BackendError
from pynq_cnn.model import Network

Self = TypeVar("Self", bound="Backend")  # typing has its own from Python 3.11


class Backend:
    """One execution of one network.

    Subclasses implement `_run`, one batch, `_run_batches`, all of them, or `_run_all`, without batches, and may extend
    `close`.

    Parameters
    ----------
    network : Network
        The network to run.
    batch : int
        Images worked on at once, at least 1.

    Attributes
    ----------
    last_seconds : dict
        Where the time of the last `run` went, by step.

    Raises
    ------
    ArgumentError
        If `network` or `batch` is none.
    """

    name = ""
    _lock: AbstractContextManager[bool]

    def __init__(self, network: Network, batch: int = 64) -> None:
        if not isinstance(network, Network):
            raise ArgumentError(f"network must be a pynq_cnn.model.Network, not {network!r:.100}")
        self.network = network
        self.batch = integer("batch", batch, 1, 65535)
        self.last_seconds: dict[str, float] = {}
        self._closed = False
        give_lock(self, "_lock")  # one thread at a time: backends keep their buffers from run to run

    def run(self, images: np.ndarray) -> np.ndarray:
        """Run the network.

        Parameters
        ----------
        images : numpy.ndarray
            uint8 [n, height, width, channels], any n.

        Returns
        -------
        numpy.ndarray
            int32 [n, outputs], the last layer's accumulators: the same on every backend.

        Raises
        ------
        ArgumentError
            If `images` is something else.
        BackendError
            After `close()`, or if the execution fails.
        """
        self.network.check_images(images)
        out = np.empty((len(images), self.network.output.outputs), np.int32)
        with self._lock:
            if self._closed:
                raise BackendError(f"this {self.name} backend is closed; make a new one")
            self.last_seconds = {}
            if len(images):
                self._run_all(images, out)
        return out

    def run_timed(self, images: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
        """`run`, and the seconds it spent by step."""
        with self._lock:
            return self.run(images), dict(self.last_seconds)

    def _spent(self, step: str, since: float) -> float:
        """Book the time since the mark `since` on `step`; a new mark."""
        now = perf_counter()
        self.last_seconds[step] = self.last_seconds.get(step, 0.0) + now - since
        return now

    def _run_all(self, images: np.ndarray, out: np.ndarray) -> None:
        """Run 1 or more checked images into int32 [n, outputs]."""
        cuts = range(self.batch, len(images), self.batch)
        self._run_batches(np.split(images, cuts), np.split(out, cuts))

    def _run_batches(self, batches: list[np.ndarray], results: list[np.ndarray]) -> None:
        """Run each of `batches`, 1 to `batch` checked images, and put its int32 [n, outputs] into the array of
        `results` at its place.
        """
        for batch, result in zip(batches, results):
            result[:] = self._run(batch)

    def _run(self, images: np.ndarray) -> np.ndarray:
        """int32 [n, outputs] for 1 to `batch` checked images."""
        raise NotImplementedError

    def close(self) -> None:
        """Give back what the backend holds. Calling it again does nothing."""
        with self._lock:
            self._closed = True

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
