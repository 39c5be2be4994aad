"""A network on this machine's own CPU."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from pynq_cnn.backends.base import Backend
from pynq_cnn.backends.cpu import avgpool, binary, concat, conv2d, dense, maxpool  # noqa: F401  # each registers its kind
from pynq_cnn.backends.cpu.native import Opened, load_library
from pynq_cnn.backends.cpu.plan import plan_of
from pynq_cnn.backends.threads import check_threads, processors
from pynq_cnn.model import Network


class CpuBackend(Backend):
    """Runs a network in compiled code, with the vector instructions of the processor.

    Parameters
    ----------
    network : Network
        The network to run.
    batch : int
        Images worked on at once, at most: fewer where more would not stay in the processor's cache.
    threads : int, optional
        How many; as many as there are processors if not given. With 1, none is started.

    Attributes
    ----------
    instruction_set : str
        On which it runs.

    Raises
    ------
    ArgumentError
        If `threads` is no integer from 1 to 1024, or the environment's PYNQ_CNN_CPU_SET names an instruction set that
        is not here.
    BackendError
        If it was not compiled.

    Examples
    --------
    >>> from pynq_cnn.model import Dense, InputSpec, Network, OutputSpec
    >>> layer = Dense("fc", np.array([[1, -1]], np.int8), np.array([10], np.int32))
    >>> output = OutputSpec(np.ones(1, np.float32), np.zeros(1, np.float32), "values")
    >>> net = Network("tiny", InputSpec(1, 2, 1, "L", (0.0,), (1.0,)), (layer,), output, ("only",))
    >>> CpuBackend(net).run(np.array([[[[3], [5]]]], np.uint8)).tolist()
    [[8]]
    """

    name = "cpu"

    def __init__(self, network: Network, batch: int = 64, threads: int | None = None) -> None:
        super().__init__(network, batch)
        self.threads = check_threads(threads) or processors()
        library = load_library()
        self.instruction_set = library.chosen()
        self._opened: Opened | None = library.open(plan_of(network), self.instruction_set, self.threads, self.batch)

    def _run_all(self, images: np.ndarray, out: np.ndarray) -> None:
        assert self._opened is not None  # `run` has looked
        mark = perf_counter()
        self._opened.run(np.ascontiguousarray(images), out)
        self._spent("run", mark)

    def close(self) -> None:
        with self._lock:
            super().close()
            self._opened = None
