"""A network, layer after layer."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

import numpy as np

from pynq_cnn.backends.base import Backend
from pynq_cnn.backends.reference import avgpool, binary, concat, conv2d, dense, maxpool  # noqa: F401  # each registers its kind
from pynq_cnn.backends.reference.execution import execution
from pynq_cnn.model import Network
from pynq_cnn.model.layers import INPUT


class ReferenceBackend(Backend):
    """Runs a network in NumPy.

    Parameters
    ----------
    network : Network
        The network to run.
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
        # Weights are made floats once, not with every batch.
        self._steps = [execution(node.layer, *node.given) for node in network.nodes]
        self._last_use = {name: node.name for node in network.nodes for name in node.inputs}

    def _run(self, images: np.ndarray) -> np.ndarray:
        mark = perf_counter()
        for values in self._outputs(images):  # noqa: B007  # the last ones are wanted
            pass
        self._spent("run", mark)
        return values[:, 0, 0, :]

    def _outputs(self, images: np.ndarray) -> Iterator[np.ndarray]:
        """The output of each layer, in order; no longer kept here than a layer takes it."""
        tensors = {INPUT: images}
        for node, step in zip(self.network.nodes, self._steps):
            values = step(*(tensors[name] for name in node.inputs))
            for name in {name for name in node.inputs if self._last_use[name] == node.name}:
                del tensors[name]
            tensors[node.name] = values
            yield values

    def activations(self, images: np.ndarray) -> list[np.ndarray]:
        """Every layer's output [n, h, w, c], in order: uint8, the last int32.

        Parameters
        ----------
        images : numpy.ndarray
            uint8 [n, height, width, channels].
        """
        return list(self._outputs(self.network.check_images(images)))
