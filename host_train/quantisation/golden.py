"""Golden vectors: images with the accumulators that every backend must give for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.model import Golden, Network

GOLDEN_IMAGES = 32


def with_golden(network: Network, images: np.ndarray, seed: int = 0) -> Network:
    """`network` with golden vectors from the reference backend.

    The first eight images are extremes: all 0, all 255, a checkerboard of both and its opposite, and four of noise. The
    others are real.

    Parameters
    ----------
    network : Network
        In integers.
    images : numpy.ndarray
        uint8 [n, height, width, channels], real ones to take the rest from, evenly spread.
    seed : int
        Of the noise.
    """
    shape = network.input_shape
    board = np.indices(shape[:2]).sum(0)[..., None] % 2 * np.full(shape, 255)
    noise = np.random.default_rng(seed).integers(0, 256, (4, *shape))
    extremes = np.stack([np.zeros(shape), np.full(shape, 255), board, 255 - board, *noise]).astype(np.uint8)
    real = images[np.linspace(0, len(images) - 1, GOLDEN_IMAGES - len(extremes)).astype(int)]
    chosen = np.concatenate([extremes, real])
    return replace(network, golden=Golden(chosen, ReferenceBackend(network).run(chosen)))
