"""Units that pruning has left without weights, taken out: the same sums from fewer channels.

A channel that no later weight reads is of no use. One whose own weights are all 0 is the same byte everywhere, which
goes into the biases of the layer that reads it. Either way every accumulator behind them stays what it was, bit for
bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pynq_cnn.backends.reference import requantise
from pynq_cnn.backends.reference.execution import execution
from pynq_cnn.model import Network
from pynq_cnn.model.layers import Layer
from pynq_cnn.model.layers.pooling import Pooling
from pynq_cnn.model.layers.weighted import ByteWeighted
from pynq_cnn.model.tensor import bytes_of


def compact(network: Network) -> Network:
    """`network` without the channels that change nothing: the same accumulators of the last layer for every image.

    Parameters
    ----------
    network : Network
        Weights are made plain ones (`shared` is dropped where a layer changes); encode them afterwards.

    Returns
    -------
    Network
        Its layers have fewer channels where pruning left some without weights. Each keeps one at least.

    Examples
    --------
    >>> from pynq_cnn.model import Dense, InputSpec, OutputSpec, Requantisation
    >>> half = Requantisation(np.array([1], np.uint16), np.array([1], np.uint8))
    >>> first = Dense("a", np.array([[1, 2], [0, 0], [3, 4]], np.int8), np.array([0, 6, 0], np.int32), half)
    >>> last = Dense("b", np.array([[5, 7, 0]], np.int8), np.array([1], np.int32))
    >>> output = OutputSpec(np.ones(1, np.float32), np.zeros(1, np.float32), "values")
    >>> small = compact(Network("n", InputSpec(1, 2, 1, "L", (0.0,), (1.0,)), (first, last), output, ("x",)))
    >>> [layer.weight.tolist() for layer in small.layers], small.layers[1].bias.tolist()
    ([[[1, 2]], [[5]]], [22])
    """
    layers = list(network.layers)
    chains = _chains(network)
    # From the last to the first: what a unit that goes had read may go too.
    for first, last in reversed(chains):
        layers[first : last + 1] = _without_unused(layers[first : last + 1])
    for first, last in chains:  # and on from the first: a constant may make another one
        layers[first : last + 1] = _without_constant(layers[first : last + 1])
    small = replace(network, layers=tuple(layers))
    return small if small.layers == network.layers else compact(small)


def _chains(network: Network) -> list[tuple[int, int]]:
    """Places of a layer with weights and of the next, with nothing but pooling between them and nothing else that reads
    it: no residual, no branch, no groups.
    """
    read = Counter(name for node in network.nodes for name in node.inputs)
    found: list[tuple[int, int]] = []
    first: int | None = None
    before = ""
    for place, node in enumerate(network.nodes):
        layer = node.layer
        if node.inputs != (before,) or read[before] != 1:
            first = None
        whole = isinstance(layer, ByteWeighted) and layer.skip is None and layer.groups == 1
        if whole and first is not None:
            found.append((first, place))
        if not isinstance(layer, Pooling) or any(layer.padding):
            first = place if whole and layer.requantisation is not None else None  # type: ignore[union-attr]
        before = node.name
    return found


def _without_unused(chain: Sequence[Layer]) -> list[Layer]:
    """A layer with weights, what pools its output, and the next with weights: the channels that the next reads."""
    first, second = chain[0], chain[-1]
    assert isinstance(first, ByteWeighted) and isinstance(second, ByteWeighted)
    read = (_by_channel(second, first.outputs) != 0).any((0, 1))
    return _chosen(chain, read)


def _without_constant(chain: Sequence[Layer]) -> list[Layer]:
    """The same: the channels that depend on the input, what the others are added to the biases of the next."""
    first, second = chain[0], chain[-1]
    assert isinstance(first, ByteWeighted) and isinstance(second, ByteWeighted)
    assert first.requantisation is not None
    varies = first.weight.reshape(first.outputs, -1).any(1)
    byte, zero_point = requantise(first.bias, first.requantisation), first.requantisation.zero_point
    for layer in chain[1:-1]:
        assert isinstance(layer, Pooling)
        shape = (*layer.size, len(byte))
        byte = execution(layer, bytes_of(shape, zero_point))(np.broadcast_to(byte, (1, *shape)))[0, 0, 0]
        zero_point = layer.output(bytes_of(shape, zero_point)).zero_point[0]
    if any(getattr(second, "padding", ())):
        varies |= byte != zero_point  # outside the image it is that, and so no constant
    if not varies.any():
        varies[0] = True  # one channel stays
    added = _by_channel(second, first.outputs).astype(np.int64).sum(1) @ np.where(varies, 0, byte).astype(np.int64)
    bias = (second.bias + added).astype(np.int32)
    return _chosen([*chain[:-1], replace(second, bias=bias)], varies)


def _by_channel(layer: ByteWeighted, channels: int) -> np.ndarray:
    """Weights int8 [out, places, channels], of a fully connected layer too, whose inputs are in HWC order."""
    return layer.weight.reshape(layer.outputs, -1, channels)


def _chosen(chain: Sequence[Layer], channels: np.ndarray) -> list[Layer]:
    """`chain` with some of the channels between its first and its last layer, bool [channels]; one at least is left."""
    first, second = chain[0], chain[-1]
    assert isinstance(first, ByteWeighted) and isinstance(second, ByteWeighted)
    if channels.all():
        return list(chain)
    kept = np.flatnonzero(channels) if channels.any() else np.array([0])  # which the next multiplies by 0
    columns = np.ascontiguousarray(_by_channel(second, first.outputs)[:, :, kept])
    shape = (*second.weight.shape[:-1], -1)
    start = replace(first, weight=first.weight[kept], bias=first.bias[kept], shared=None, **_constants(first, kept))
    pools = [replace(layer, **_constants(layer, kept)) for layer in chain[1:-1]]
    return [start, *pools, replace(second, weight=columns.reshape(shape), shared=None)]


def _constants(layer: Layer, kept: np.ndarray) -> dict[str, Any]:
    """The requantisation of some channels, of a layer that has one for each."""
    constants = getattr(layer, "requantisation", None)
    if constants is None or len(constants.multiplier) == 1:
        return {}
    return {"requantisation": replace(constants, multiplier=constants.multiplier[kept], shift=constants.shift[kept])}
