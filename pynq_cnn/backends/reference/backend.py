"""A network, layer after layer."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from pynq_cnn.backends.base import Backend
from pynq_cnn.backends.reference import avgpool, binary, conv2d, dense, maxpool  # noqa: F401  # each registers its kind
from pynq_cnn.backends.reference.execution import execution
from pynq_cnn.model import Network


class ReferenceBackend(Backend):
    """Runs a network in NumPy.

    Parameters
    ----------
    network : Network
        What to run.
    batch : int
        Images worked on at once: bounds the memory that activations take, changes no result.

    Examples
    --------
    >>> from pynq_cnn.model import Dense, InputSpec, Network, OutputSpec
    >>> layer = Dense("fc", np.array([[1, -1]], np.int8), np.array([10], np.int32))
    >>> output = OutputSpec(np.ones(1, np.float32), np.zeros(1, np.float32), "values")
    >>> net = Network("tiny", InputSpec(1, 2, 1, "L", (0.0,), (1.0,)), (layer,), output, ("only",))
    >>> ReferenceBackend(net).run(np.array([[[[3], [5]]]], np.uint8)).tolist()
    [[8]]
    """

    name = "reference"

    def __init__(self, network: Network, batch: int = 64) -> None:
        super().__init__(network, batch)
        self._steps = [
            execution(layer) for layer in network.layers
        ]  # weights are made floats once, not with every batch

    def _run(self, images: np.ndarray) -> np.ndarray:
        mark = perf_counter()
        values = images
        for step in self._steps:
            values = step(values)
        self._spent("run", mark)
        return values[:, 0, 0, :]

    def activations(self, images: np.ndarray) -> list[np.ndarray]:
        """Every layer's output [n, h, w, c], in order: uint8, the last int32.

        Parameters
        ----------
        images : numpy.ndarray
            uint8 [n, height, width, channels].
        """
        values, outputs = self.network.check_images(images), []
        for step in self._steps:
            values = step(values)
            outputs.append(values)
        return outputs
