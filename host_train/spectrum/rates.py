"""Weights of a network in integers as packages can keep them, at several rates: in space, in frequency, and either."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from host_train.budget import spread
from host_train.data import Split
from host_train.evaluation.evaluate import predict_integers
from host_train.progress import track
from host_train.spectrum.storage import SPACE, Choice, choices, kept, kernels
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import Network
from pynq_cnn.model.layers.weighted import ByteWeighted
from pynq_cnn.table import markdown_table

if TYPE_CHECKING:
    from host_train.spectrum.activations import MapPoint

WAYS = ("space", "frequency, one step", "frequency", "either")


@dataclass(frozen=True)
class WeightPoint:
    """One way to keep all weights.

    Parameters
    ----------
    method : str
        One of `WAYS`: quantised in space, or in frequency, or each layer in the one that is better, which layer gets
        how many bytes by the error of the logits; or in frequency with the same step for all layers.
    rate : int
        Bits per weight that may be taken.
    bits : float
        That are, headers included.
    logit_error : float
        Squared error of the logits on the images, of their squared sum.
    top1 : float
        On the images, 0 to 1.
    """

    method: str
    rate: int
    bits: float
    logit_error: float
    top1: float


def to_markdown(points: Sequence[WeightPoint] | Sequence[MapPoint]) -> str:
    """A line a rate, for each method top-1 in %, and the logits' squared error in % of their squared sum.

    Examples
    --------
    >>> print(to_markdown([WeightPoint("space", 4, 3.9, 0.01234, 0.9871), WeightPoint("either", 4, 4.0, 0.01, 0.99)]))
    | bits |        space |    either |
    | ---- | -----------: | --------: |
    | 4    | 98.71 (1.23) | 99.00 (1) |
    """
    methods = list(dict.fromkeys(point.method for point in points))
    cells = {(one.rate, one.method): f"{100 * one.top1:.2f} ({100 * one.logit_error:.3g})" for one in points}
    rates = dict.fromkeys(point.rate for point in points)
    rows = [[str(rate), *(cells.get((rate, method), "") for method in methods)] for rate in rates]
    return markdown_table([["bits", *methods], *rows])


def compare_weights(
    network: Network, training: np.ndarray, test: Split, rates: Sequence[int], progress: bool = True
) -> list[WeightPoint]:
    """Keep the weights in every form at every rate; rates that are too low for a form's headers are left out.

    Parameters
    ----------
    network : Network
        In integers.
    training : numpy.ndarray
        uint8 [n, height, width, channels] that errors are measured on to spread the bytes.
    test : Split
        What is reported on.
    rates : sequence of int
        Bits per weight.
    progress : bool
        Show a bar where there is a terminal.

    Raises
    ------
    ArgumentError
        If there are no weights of bytes.
    """
    own = kernels(network)
    if not own:
        raise ArgumentError(f"{network.name} has no weights of bytes")
    weights = sum(layer.weight_count for layer in network.layers if isinstance(layer, ByteWeighted))
    plain = replace(network, golden=None)
    every = choices(plain, training, {name: [size, SPACE] for name, size in own.items()}, progress=progress)
    of = {
        "space": {name: [one for one in some if one.weight.kernel == SPACE] for name, some in every.items()},
        "frequency": {name: [one for one in some if one.weight.kernel == own[name]] for name, some in every.items()},
        "either": every,
    }
    exact = predict_integers(plain, progress=False)(test.images).astype(np.float64)
    points = []
    for rate, method in track([(r, m) for r in rates for m in WAYS], "weights", "way", progress):
        budget = rate * weights // 8
        try:
            chosen = _alike(of["frequency"], budget) if method == WAYS[1] else spread(of[method], budget)
        except ArgumentError:
            continue
        small = kept(plain, {name: one.weight for name, one in chosen.items()})
        logits = predict_integers(small, progress=False)(test.images).astype(np.float64)
        error = float(((logits - exact) ** 2).sum() / (exact**2).sum())
        bits = 8 * sum(one.stored for one in chosen.values()) / weights
        points.append(WeightPoint(method, rate, bits, error, float((logits.argmax(1) == test.labels).mean())))
    return points


def _alike(found: dict[str, list[Choice]], budget: int) -> dict[str, Choice]:
    """The smallest step that all layers can have within `budget` bytes."""
    for step in sorted({one.weight.step for some in found.values() for one in some}):
        chosen = {
            name: min(some, key=lambda one: (one.weight.step < step, abs(one.weight.step - step)))
            for name, some in found.items()
        }
        if sum(one.stored for one in chosen.values()) <= budget:
            return chosen
    raise ArgumentError(f"{budget} bytes are too few")
