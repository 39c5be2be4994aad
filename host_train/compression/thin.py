"""A compressed network in integers made smaller without further training: weights that matter least are left out, where
that costs least for the bytes that it saves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from host_train.budget import spread
from host_train.compression.compact import compact
from host_train.compression.encoding import encode_layers, encoded_bytes, smallest
from host_train.progress import track
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.backends.select import on_cpu
from pynq_cnn.model import Network
from pynq_cnn.model.layers.weighted import ByteWeighted

PARTS = tuple(0.04 * k for k in range(21))  # of a layer's weights that are left, to be left out


@dataclass(frozen=True, eq=False)
class Thinned:
    """One layer with fewer weights.

    Parameters
    ----------
    weight : numpy.ndarray
        int8, of the layer.
    stored : int
        Bytes of its stream, codebook and code lengths.
    error : float
        Squared error of the logits that this layer alone makes, of their squared sum.
    """

    weight: np.ndarray
    stored: int
    error: float


def thinned(
    network: Network, images: np.ndarray, parts: Sequence[float] = PARTS, progress: bool = True
) -> dict[str, list[Thinned]]:
    """Every layer with every part of its weights left out, those of least share in their sums first.

    Parameters
    ----------
    network : Network
        In integers, pruned and shared.
    images : numpy.ndarray
        uint8 [n, height, width, channels] that shares and errors are measured on.
    parts : sequence of float
        From 0 to below 1.
    progress : bool
        Show a bar where there is a terminal.
    """
    exact = _logits(network, images)
    energy = float((exact**2).sum()) or 1.0
    given = dict(zip((layer.name for layer in network.layers), ReferenceBackend(network).activations(images)))
    given["input"] = images
    found: dict[str, list[Thinned]] = {}
    layers = [node for node in network.nodes if isinstance(node.layer, ByteWeighted)]
    for node in track(layers, "layers", "layer", progress):
        layer = node.layer
        assert isinstance(layer, ByteWeighted)
        taken = given[node.inputs[0]].astype(np.float64)
        share = layer.weight.astype(np.float64) ** 2 * _energy(layer, taken)
        share /= np.maximum(share.reshape(len(share), -1).sum(1), 1e-12).reshape(-1, *[1] * (share.ndim - 1))
        left = np.flatnonzero(layer.weight)
        order = left[np.argsort(share.ravel()[left], kind="stable")]
        found[layer.name] = []
        for part in parts:
            weight = layer.weight.copy().reshape(-1)
            weight[order[: int(part * len(order))]] = 0
            changed = weight.reshape(layer.weight.shape)
            error = float(((_logits(_with(network, {layer.name: changed}), images) - exact) ** 2).sum()) / energy
            found[layer.name].append(Thinned(changed, encoded_bytes(smallest(changed)), error))
    return found


def thin(network: Network, found: dict[str, list[Thinned]], budget: int) -> Network:
    """`network` with the streams of its layers within `budget` bytes, compacted and encoded.

    Useless channels go afterwards, so that it takes less than that.
    """
    chosen = spread(found, budget)
    return encode_layers(compact(_with(network, {name: one.weight for name, one in chosen.items()})))


def _energy(layer: ByteWeighted, given: np.ndarray) -> np.ndarray:
    """Mean squares of what the weights are multiplied by, which go with them: a channel's for all places of a kernel.

    Examples
    --------
    >>> from pynq_cnn.model import Conv2d
    >>> grouped = Conv2d("c", np.ones((4, 1, 1, 1), np.int8), np.zeros(4, np.int32), groups=2)
    >>> _energy(grouped, np.array([[[[1.0, 3.0]]]])).ravel().tolist()
    [1.0, 1.0, 9.0, 9.0]
    """
    outputs, inputs = len(layer.weight), layer.weight.shape[-1]
    mean = (given.reshape(-1, layer.groups * inputs) ** 2).mean(0).reshape(layer.groups, inputs)
    each = mean.repeat(outputs // layer.groups, 0)
    return each.reshape(outputs, *[1] * (layer.weight.ndim - 2), inputs)


def _with(network: Network, weights: dict[str, np.ndarray]) -> Network:
    layers = tuple(
        replace(layer, weight=weights[layer.name], shared=None)
        if isinstance(layer, ByteWeighted) and layer.name in weights
        else layer
        for layer in network.layers
    )
    return replace(network, layers=layers, golden=None)


def _logits(network: Network, images: np.ndarray) -> np.ndarray:
    return network.logits(on_cpu(network, threads=torch.get_num_threads()).run(images)).astype(np.float64)
