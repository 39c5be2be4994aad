"""Steps of the activations, from what they are on training images."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from host_train.progress import track
from host_train.quantisation.fake import ACTIVATION_MAX
from host_train.quantisation.fold import check_folded
from host_train.quantisation.graph import LayerGraph, inputs_of, walk
from host_train.quantisation.layers.rules import bounds, quantised, role
from host_train.quantisation.layers.state import ByteGrid, Grid, Role
from host_train.quantisation.sequential import every_layer
from pynq_cnn.errors import ArgumentError, NetworkError
from pynq_cnn.model.layers import INPUT

BINS = 8192


def step_max(counts: np.ndarray, width: float) -> float:
    """The step at which nothing is clipped."""
    return float((np.flatnonzero(counts)[-1] + 1) * width / ACTIVATION_MAX)


def step_percentile(counts: np.ndarray, width: float) -> float:
    """The step at which 0.01 % of the values that are not 0 are clipped."""
    cumulated = np.cumsum(counts[1:]) / max(counts[1:].sum(), 1)
    return float((np.searchsorted(cumulated, 0.9999) + 2) * width / ACTIVATION_MAX)


def step_mse(counts: np.ndarray, width: float) -> float:
    """The step of least mean squared error between the values and their bytes, of 100 between 20 and 100 % of
    `step_max`.
    """
    filled = np.flatnonzero(counts)
    values, weights = (filled + 0.5) * width, counts[filled]
    steps = step_max(counts, width) * np.linspace(0.2, 1, 100)

    def error(step: float) -> float:
        wrong = np.minimum(np.rint(values / step), ACTIVATION_MAX) * step - values
        return float(weights @ (wrong * wrong))

    return float(steps[int(np.argmin([error(step) for step in steps]))])


METHODS: dict[str, Callable[[np.ndarray, float], float]] = {
    "max": step_max,
    "percentile": step_percentile,
    "mse": step_mse,
}


@dataclass(frozen=True, eq=False)
class Histogram:
    """How often values occur.

    Parameters
    ----------
    counts : numpy.ndarray
        float64 [BINS].
    width : float
        Of a bin.
    least : float
        Where the first begins: 0 where no value is below.
    """

    counts: np.ndarray
    width: float
    least: float = 0.0


def grid_of(values: Histogram, method: Callable[[np.ndarray, float], float], bounds: tuple[float, float]) -> ByteGrid:
    """Step and zero point for bytes.

    Parameters
    ----------
    values : Histogram
        Of the values.
    method : callable
        One of `METHODS`: how far away from 0 they are kept.
    bounds : tuple of float
        Of the activation: the byte 255 stands for no more than the upper one.

    Examples
    --------
    >>> counts = np.ones(BINS)
    >>> grid = grid_of(Histogram(counts, 4 / BINS, -1.0), step_max, (-math.inf, math.inf))
    >>> round(grid.step * 255, 2), grid.zero_point
    (4.01, 64)
    >>> grid_of(Histogram(counts, 8 / BINS), step_max, (0.0, 6.0)).step * 255
    6.0
    """
    zero = round(-values.least / values.width)  # the bin that begins at 0
    low, high = bounds
    up = values.counts[zero:] if zero < len(values.counts) else np.zeros(1)
    down = values.counts[:zero][::-1]
    above = method(up, values.width) * ACTIVATION_MAX if up.any() else 0.0
    below = method(down, values.width) * ACTIVATION_MAX if down.any() else 0.0
    above, below = min(above, high), min(below, max(-low, 0.0))
    if not above and not below:
        return ByteGrid()
    if not below:
        return ByteGrid(above / ACTIVATION_MAX)
    if above <= 0:
        return ByteGrid(below / ACTIVATION_MAX, ACTIVATION_MAX)
    # What is above 0 ends at 255 exactly, what is below at 0 or just before it.
    zero_point = min(math.ceil(ACTIVATION_MAX * below / (above + below)), ACTIVATION_MAX - 1)
    return ByteGrid(max(above / (ACTIVATION_MAX - zero_point), below / zero_point), zero_point)


def _groups(folded: nn.Sequential) -> dict[str, str]:
    """The layers whose outputs become bytes by a step of their own; those that are put side by side, which share it, by
    the first of them.
    """
    inputs, made_by = inputs_of(folded), {INPUT: ""}
    first: dict[str, str] = {}

    def root(name: str) -> str:
        while first[name] != name:
            name = first[name]
        return name

    for name, layer in every_layer(folded):
        kind = role(layer, name)
        if kind is Role.ACTIVATION:
            first[name] = made_by[name] = name
        elif kind is Role.CONCATENATION:
            joined = [root(made_by[one]) for one in inputs[name]]
            for one in joined:
                first[one] = joined[0]
            made_by[name] = joined[0]
        elif kind in (Role.MOVING, Role.FLATTENING):
            made_by[name] = made_by[inputs[name][0]]
        else:
            made_by[name] = ""
    return {name: root(name) for name in first}


def _histograms(
    folded: nn.Sequential, groups: dict[str, str], batches: Iterable[torch.Tensor], progress: bool
) -> dict[str, Histogram]:
    """The values of every group of layers that make bytes."""
    images = list(batches)
    if not sum(len(batch) for batch in images):
        raise ArgumentError("there are no images to calibrate with")
    ranges: dict[str, tuple[float, float]] = {}
    with torch.no_grad():
        for batch in track(images, "calibrating: ranges", "batch", progress):
            for name, _, _, values in walk(folded, batch):
                if name in groups:
                    least, most = ranges.get(groups[name], (0.0, 0.0))
                    found = values.min().item(), values.max().item()
                    if not np.isfinite(found).all():
                        raise NetworkError(
                            f"{name} gives {found[1]} on the calibration images; the network has not been trained to"
                            " finite weights",
                            name,
                        )
                    ranges[groups[name]] = min(least, found[0]), max(most, found[1])
        widths, starts = {}, {}
        for name, (least, most) in ranges.items():
            # A layer that is always 0 may have any step. A bin begins at 0, so that none holds both signs.
            width = (most - least) / BINS or 1.0 / BINS
            zero = math.ceil(-least / width)
            widths[name] = width if not zero else max(most / (BINS - zero) if zero < BINS else 0.0, -least / zero)
            starts[name] = -zero * widths[name]
        counts = {name: np.zeros(BINS) for name in ranges}
        for batch in track(images, "calibrating: values", "batch", progress):
            for name, _, _, values in walk(folded, batch):
                if name in groups:
                    group = groups[name]
                    places = ((values.flatten() - starts[group]) / widths[group]).long().clamp_(0, BINS - 1)
                    counts[group] += torch.bincount(places, minlength=BINS).cpu().numpy()
    return {group: Histogram(counts[group], widths[group], starts[group]) for group in ranges}


def calibrate(
    folded: nn.Sequential, batches: Iterable[torch.Tensor], std: tuple[float, ...], method: str = "max"
) -> nn.Sequential:
    """`calibrations` by one method."""
    return calibrations(folded, batches, std, [method])[method]


def calibrations(
    folded: nn.Sequential,
    batches: Iterable[torch.Tensor],
    std: tuple[float, ...],
    methods: Iterable[str] = tuple(METHODS),
    per_layer: bool = False,
    progress: bool = True,
) -> dict[str, LayerGraph]:
    """The network with weights and activations on the integers' grids, in floating point, by each method; the images
    are seen once.

    Parameters
    ----------
    folded : LayerGraph
        From `fold`. It is not changed.
    batches : iterable of torch.Tensor
        Normalised training images float32 [n, channels, height, width].
    std : tuple of float
        Per-channel standard deviation that the images were divided by.
    methods : iterable of {"max", "percentile", "mse"}
        How the step of a layer's output follows from its values.
    per_layer : bool
        One step for all weights of a layer, so that those that are equal stay so, instead of one for each output
        channel.
    progress : bool
        Show a bar where there is a terminal.

    Returns
    -------
    dict of str to LayerGraph
        By method: of the same layers, of which those with weights, and those that make bytes, are quantised ones; it
        can be trained further.

    Raises
    ------
    ArgumentError
        For an unknown method, or no images.
    NetworkError
        If the network is not folded, or an activation is not finite.
    """
    methods = list(methods)
    for method in methods:
        if method not in METHODS:
            raise ArgumentError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    check_folded(folded)
    groups = _groups(folded)
    histograms = _histograms(folded, groups, batches, progress)
    made: dict[str, LayerGraph] = {}
    limits = {name: bounds(folded.get_submodule(name)) for name in groups}
    for method in methods:
        grids = {}
        for group, values in histograms.items():
            low, high = zip(*(limits[name] for name, its in groups.items() if its == group))
            grids[group] = grid_of(values, METHODS[method], (min(low), max(high)))
        made[method] = quantisable(folded, std, {name: grids[group] for name, group in groups.items()}, per_layer)
    return made


def quantisable(
    folded: nn.Sequential, std: tuple[float, ...], grids: dict[str, ByteGrid] | None = None, per_layer: bool = False
) -> LayerGraph:
    """`folded` in quantised layers, with the grids of its bytes by layer (any where none is given: to load a trained
    state into).
    """
    check_folded(folded)
    inputs = inputs_of(folded)
    steps = {INPUT: 1 / ACTIVATION_MAX}  # of what each layer gives, if these are bytes
    images, added, layers = {INPUT}, {}, {}
    for name, layer in every_layer(folded):
        kind = role(layer, name)
        if kind is Role.ADDITION:
            added[inputs[name][0]] = inputs[name][1]
    for name, layer in every_layer(folded):
        kind, given = role(layer, name), inputs[name][0]
        if kind is Role.ACTIVATION:
            steps[name] = (grids or {}).get(name, ByteGrid()).step
        elif given in steps and kind in (Role.MOVING, Role.FLATTENING, Role.CONCATENATION):
            steps[name] = steps[given]
            images |= {name} if given in images else set()
    for name, layer in every_layer(folded):
        given = inputs[name][0]
        skip = steps[added[name]] / steps[given] if name in added else None
        grid = Grid((grids or {}).get(name, ByteGrid()), std if given in images else None, per_layer, skip)
        layers[name] = quantised(layer, grid)
    return LayerGraph(layers, inputs).eval()
