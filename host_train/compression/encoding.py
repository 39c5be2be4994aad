"""The shared network in integers: int8 codebooks, and each layer in the encoding that takes the fewest bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from host_train.compression.share import unshared
from host_train.quantisation.calibrate import calibrations
from host_train.quantisation.fake import TINY, WEIGHT_MAX
from pynq_cnn.model import Network
from pynq_cnn.model.huffman import code_lengths
from pynq_cnn.model.layers.weighted import ByteWeighted
from pynq_cnn.model.shared import SharedWeight


def snap(codebook: torch.Tensor) -> torch.Tensor:
    """Shared values rounded to multiples of a step of the layer, of which the largest is 127.

    Examples
    --------
    >>> snap(torch.tensor([-254.0, 0.9, 3.3])).tolist()
    [-254.0, 0.0, 4.0]
    """
    step = (codebook.detach().abs().amax() / WEIGHT_MAX).clamp_min(TINY)
    return torch.round(codebook / step) * step


def quantised_forms(
    shared: nn.Sequential, images: Sequence[torch.Tensor], std: tuple[float, ...], progress: bool = True
) -> Mapping[str, nn.Sequential]:
    """The network on the integers' grids, for `to_network`, by method of calibration.

    Parameters
    ----------
    shared : torch.nn.Sequential
        From `share`. It is not changed.
    images : sequence of torch.Tensor
        Normalised training images float32 [n, channels, height, width].
    std : tuple of float
        Per-channel standard deviation that they were divided by.
    progress : bool
        Show a bar where there is a terminal.

    Returns
    -------
    dict
        As `calibrations` makes them, with one step for all weights of a layer, so that what is shared stays shared.
    """
    return calibrations(unshared(shared, snap), images, std, per_layer=True, progress=progress)


def stream_bits(symbols: np.ndarray, alphabet: int) -> int:
    """Bits of a stream of symbols under its own Huffman code.

    Examples
    --------
    >>> stream_bits(np.array([0, 0, 1, 2, 0]), 4)  # words 0, 10, 11
    7
    """
    counts = np.bincount(symbols, minlength=alphabet)
    return int(counts @ code_lengths(counts).astype(np.int64))


def encoded_bytes(shared: SharedWeight) -> int:
    """Bytes of the three arrays that a package keeps of shared weights: codebook, code lengths and stream."""
    gaps = int(shared.gaps.max(initial=0)) + 1
    bits = stream_bits(shared.codes, len(shared.codebook)) + stream_bits(shared.gaps, gaps)
    return 2 * len(shared.codebook) + gaps + -(-bits // 8)


def smallest(weight: np.ndarray) -> SharedWeight:
    """int8 weights of at most 255 different values besides 0, with the width of gaps that takes the fewest bytes in a
    package.
    """
    return min((SharedWeight.of(weight, bits) for bits in range(8, 0, -1)), key=encoded_bytes)


def encode_layers(network: Network) -> Network:
    """`network` with the weights of all its layers of bytes encoded."""
    layers = tuple(
        replace(layer, shared=smallest(layer.weight)) if isinstance(layer, ByteWeighted) else layer
        for layer in network.layers
    )
    return replace(network, layers=layers)
