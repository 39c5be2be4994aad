"""How much to keep for a package that is smaller by a given factor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from host_train.compression.recipe import CompressionRecipe
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model.huffman import code_lengths

HEADER = 128  # bytes, of an .npy file
REQUANTISATION = 2 * HEADER + 3  # one multiplier and shift
LAYER_OVERHEAD = 4 * HEADER + REQUANTISATION


def expected_bytes(weights: int, outputs: int, keep: float, bits: int) -> float:
    """Bytes that a layer's files in a package are expected to take.

    As if weights were kept at random places and every value of the codebook were as frequent as every other; trained
    layers are less even than that and come out somewhat smaller.

    Parameters
    ----------
    weights, outputs : int
        Of the layer.
    keep : float
        Part of the weights that is kept.
    bits : int
        Of a codebook index.

    Examples
    --------
    >>> round(expected_bytes(1_000_000, 10, 0.01, 4))  # 10,000 weights of about 4 + 8.4 bits, and what is fixed
    16618
    """
    kept = max(1.0, keep * weights)
    return (
        min(_stream_bytes(kept, kept / weights, bits, 1 << width) for width in range(1, 9))
        + 2 * outputs
        + LAYER_OVERHEAD
    )


def package_bytes(recipe: CompressionRecipe, sizes: Mapping[str, tuple[int, int]]) -> float:
    """Bytes that the files of all layers and of the output are expected to take.

    The last layer has no multiplier and shift; its outputs have a scale and an offset each.

    Parameters
    ----------
    recipe : CompressionRecipe
        Of all layers (`CompressionRecipe.layers`).
    sizes : mapping
        (weights, biases) of every layer, in order.

    Examples
    --------
    >>> recipe = CompressionRecipe(keep={"fc": 0.01}, bits={"fc": 4})
    >>> round(package_bytes(recipe, {"fc": (1_000_000, 10)}))  # 16,618 less a few constants, and 336
    16695
    """
    layers = sum(expected_bytes(*sizes[name], part, recipe.bits[name]) for name, part in recipe.keep.items())
    *_, (_, outputs) = sizes.values()
    return layers - REQUANTISATION + 2 * HEADER + 8 * outputs


def _stream_bytes(kept: float, part: float, bits: int, span: int) -> float:
    """Codebook, code lengths and stream, with gaps of less than `span` (see `SharedWeight`)."""
    over = (1 - part) ** span  # of a gap to need a bridge, and of what is left of it to need another
    bridges = kept * over / max(1 - over, 1e-12)
    gaps = kept * part * (1 - part) ** np.arange(span) / max(1 - over, 1e-12)
    gaps[-1] += bridges
    values = (1 << bits) - 1
    codes = np.array([bridges] + [kept / values] * values)
    stream = 0.0
    for counts in (gaps, codes):
        whole = np.rint(counts * 1000).astype(np.int64)  # Huffman's lengths depend on proportions only
        stream += float(whole @ code_lengths(whole).astype(np.int64)) / 1000
    return stream / 8 + 2 * len(codes) + span


def for_target(
    recipe: CompressionRecipe, sizes: Mapping[str, tuple[int, int]], ratio: float, dense: int | None = None
) -> CompressionRecipe:
    """`recipe` with every layer's `keep` scaled by one factor, so that the files of the package are `ratio` times
    smaller than float32.

    Parameters
    ----------
    recipe : CompressionRecipe
        Of all layers (`CompressionRecipe.layers`).
    sizes : mapping
        (weights, biases) of every layer, in order.
    ratio : float
        Above 1.
    dense : int, optional
        Weights and biases of the trained network, where `sizes` are of one with fewer units.

    Raises
    ------
    ArgumentError
        If that is out of reach: biases, headers and constants alone take more.
    """
    if not 1 < ratio < math.inf:
        raise ArgumentError(f"the target must be a ratio above 1, not {ratio!r}")
    whole = 4 * (sum(weights + biases for weights, biases in sizes.values()) if dense is None else dense)
    goal = whole / ratio

    def scaled(factor: float) -> CompressionRecipe:
        return replace(recipe, keep={name: min(1.0, factor * part) for name, part in recipe.keep.items()})

    def size(factor: float) -> float:
        return package_bytes(scaled(factor), sizes)

    low, high = 1e-9, 1 / min(recipe.keep.values())
    if size(low) > goal:
        least = size(low)
        raise ArgumentError(
            f"a target of {ratio:g} asks for {goal:,.0f} bytes, but biases, headers and constants alone take"
            f" {least:,.0f}; at most {whole / least:.0f} can be asked for"
        )
    for _ in range(40):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if size(middle) <= goal else (low, middle)
    return scaled(low)
