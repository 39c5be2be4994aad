"""Steps of the activations, from what they are on training images."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import nn

from host_train.progress import track
from host_train.quantisation.fake import ACTIVATION_MAX
from host_train.quantisation.fold import check_folded, check_order
from host_train.quantisation.layers.rules import follow, gives_bytes, quantised
from host_train.quantisation.layers.state import Grid, Place
from pynq_cnn.errors import ArgumentError, NetworkError

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
    values = (np.arange(len(counts)) + 0.5) * width
    steps = step_max(counts, width) * np.linspace(0.2, 1, 100)
    errors = [
        (counts * (np.clip(np.rint(values / step), 0, ACTIVATION_MAX) * step - values) ** 2).sum() for step in steps
    ]
    return float(steps[int(np.argmin(errors))])


METHODS: dict[str, Callable[[np.ndarray, float], float]] = {
    "max": step_max,
    "percentile": step_percentile,
    "mse": step_mse,
}


def _byte_layers(folded: nn.Sequential) -> list[str]:
    """Names of the layers whose outputs become bytes by a step of their own: ReLUs, and averages before the
    last layer.
    """
    end = check_order(folded.named_children()).logits_of
    return [name for name, layer in folded.named_children() if gives_bytes(layer) and name != end]


def _histograms(
    folded: nn.Sequential, batches: Iterable[torch.Tensor], progress: bool
) -> dict[str, tuple[np.ndarray, float]]:
    """Counts [BINS] of the output values of every layer that gives bytes, and the width of a bin."""
    images = list(batches)
    if not sum(len(batch) for batch in images):
        raise ArgumentError("there are no images to calibrate with")
    names = _byte_layers(folded)
    outputs: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda _layer, _inputs, output: outputs.__setitem__(name, output)

    hooks = [folded.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    highest = dict.fromkeys(names, 0.0)
    counts = {name: np.zeros(BINS) for name in names}
    try:
        with torch.no_grad():
            for batch in track(images, "calibrating: ranges", "batch", progress):
                folded(batch)
                # Keeps NaN.
                highest = {name: float(np.maximum(highest[name], outputs[name].max().item())) for name in names}
            for name, top in highest.items():
                if not np.isfinite(top):
                    raise NetworkError(
                        f"{name} gives {top} on the calibration images; the network has not been trained to finite"
                        " weights",
                        name,
                    )
            # A layer that is always 0 may have any step.
            widths = {name: (top or 1.0) / BINS for name, top in highest.items()}
            for batch in track(images, "calibrating: values", "batch", progress):
                folded(batch)
                for name in names:
                    values = (outputs[name].flatten() / widths[name]).long().clamp_(0, BINS - 1)
                    counts[name] += torch.bincount(values, minlength=BINS).cpu().numpy()
    finally:
        for hook in hooks:
            hook.remove()
    return {name: (counts[name], widths[name]) for name in names}


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
) -> dict[str, nn.Sequential]:
    """The network with weights and activations on the integers' grids, in floating point, by each method; the images
    are seen once.

    Parameters
    ----------
    folded : torch.nn.Sequential
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
    dict of str to torch.nn.Sequential
        By method: of `QuantisedConv2d`, `QuantisedLinear`, `QuantisedReLU`, `QuantisedAvgPool2d`, MaxPool2d and Flatten
        (and AvgPool2d or AdaptiveAvgPool2d as the last layer), of the same names; it can be trained further.

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
    histograms = _histograms(folded, batches, progress)
    made = {}
    for method in methods:
        steps = {name: METHODS[method](counts, width) for name, (counts, width) in histograms.items()}
        made[method] = quantisable(folded, std, steps, per_layer)
    return made


def quantisable(
    folded: nn.Sequential, std: tuple[float, ...], steps: dict[str, float] | None = None, per_layer: bool = False
) -> nn.Sequential:
    """`folded` in quantised layers, with the steps of its bytes by layer (1 where none is given: to load a trained
    state into).
    """
    check_folded(folded)
    layers: list[tuple[str, nn.Module]] = []
    place, in_bytes = Place(), _byte_layers(folded)
    for name, layer in folded.named_children():
        step = (steps or {}).get(name, 1.0) if name in in_bytes else None
        layers.append((name, quantised(layer, Grid(step, std if place.image else None, per_layer))))
        place = follow(layer, name, place)
    return nn.Sequential(OrderedDict(layers)).eval()
