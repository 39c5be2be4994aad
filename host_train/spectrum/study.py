"""The study of one trained network: spectra of its layers, and its accuracy with weights kept at few bits, in space and
in frequency.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from host_train.data import Split
from host_train.evaluation.evaluate import predict_integers, predict_torch
from host_train.layers.binary import BinaryLayer
from host_train.progress import track
from host_train.quantisation.graph import inputs_of, walk
from host_train.quantisation.sequential import flat
from host_train.spectrum.bits import check_rates, shapes_in_frequency
from host_train.spectrum.codec import CODINGS, EncodedWeight, water_filling_rate
from host_train.spectrum.variance import activation_variance, weight_variance
from host_train.tracing.trace import trace
from pynq_cnn.model import InputSpec, Network
from pynq_cnn.model.layers import INPUT

STUDIED = (nn.Conv2d, nn.Linear, BinaryLayer)


@dataclass(frozen=True, eq=False)
class LayerSpectrum:
    """Variance of the 2-D FFT coefficients around one layer, each [height, width] of its input feature map (or kernel,
    if larger).

    Parameters
    ----------
    name : str
        The layer.
    weights : numpy.ndarray
        Over its kernels, padded to the feature map.
    one_image, many_images : numpy.ndarray
        Over its input's channels for one image, and for a batch.
    """

    name: str
    weights: np.ndarray
    one_image: np.ndarray
    many_images: np.ndarray

    def variances(self) -> dict[str, np.ndarray]:
        """The three by what they are of: `weights`, `image` (one) and `batch`."""
        return {"weights": self.weights, "image": self.one_image, "batch": self.many_images}


@dataclass(frozen=True)
class Point:
    """One way to keep the weights, and what comes of it.

    Parameters
    ----------
    method : str
        One of `CODINGS`.
    rate : int
        Bits per weight of uniform quantisation.
    stored_bits : int
        Of all layers' weights, headers included.
    weight_error : float
        Squared error of all weights over their squared sum.
    logit_error : float
        The same of the integer network's logits against those of the float network.
    top1 : float
        Accuracy of the integer network.
    """

    method: str
    rate: int
    stored_bits: int
    weight_error: float
    logit_error: float
    top1: float


def _straight(model: nn.Module, shape: tuple[int, ...]) -> nn.Sequential:
    """`model` as one flat sequence: nested Sequentials opened, anything else as it is traced; `shape` is (channels,
    height, width).
    """
    if not isinstance(model, nn.Sequential) or any(list(layer.children()) for _, layer in flat(model)):
        return trace(model, torch.zeros(2, *shape)).layers
    if not any(isinstance(layer, nn.Sequential) for layer in model):
        return model
    return nn.Sequential(OrderedDict((name.replace(".", "_"), layer) for name, layer in flat(model)))


def _inputs(model: nn.Sequential, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Inputs of every layer with weights, as [n, channels, height, width]: before the flattening where there is one."""
    inputs, planes, takes = {}, {INPUT: images}, inputs_of(model)
    with torch.no_grad():
        for name, layer, _, values in walk(model, images):
            seen = planes[takes[name][0]]
            if isinstance(layer, STUDIED):
                inputs[name] = layer.seen(seen) if isinstance(layer, BinaryLayer) else seen
            image = values if values.ndim == 4 else values[:, :, None, None]
            planes[name] = seen if isinstance(layer, nn.Flatten) else image
    return inputs


def as_planes(model: nn.Module, shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
    """Weights of every layer, float32 [out, in, height, width]: kernels, and rows of a linear layer as the feature maps
    they are over.

    Those of a binary layer are its signs.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode. Nested Sequentials are opened (`.` in names becomes `_`); any other module is traced
        (`host_train.tracing`).
    shape : tuple of int
        (channels, height, width) of the network's input.

    Raises
    ------
    NetworkError
        If it cannot be traced; names the operation.
    """
    model = _straight(model, shape)
    inputs = _inputs(model, torch.zeros(1, *shape))
    weights = {}
    for name, values in inputs.items():
        layer = model.get_submodule(name)
        kept = layer.binary_weight() if isinstance(layer, BinaryLayer) else layer.weight
        weight = kept.detach().numpy()  # type: ignore[operator]
        weights[name] = weight if weight.ndim == 4 else weight.reshape(len(weight), *values.shape[1:])
    return weights


def spectra(model: nn.Module, images: torch.Tensor) -> list[LayerSpectrum]:
    """The spectra of every layer over more than one pixel.

    Parameters
    ----------
    model : torch.nn.Module
        As of `as_planes`.
    images : torch.Tensor
        float32 [n, channels, height, width], normalised.
    """
    found = []
    channels, height, width = images.shape[1:]
    model = _straight(model, (channels, height, width))
    weights = as_planes(model, (channels, height, width))
    for (name, weight), values in zip(weights.items(), _inputs(model, images).values()):
        map_height, map_width = values.shape[2:]
        # A kernel with padding may be larger than its map; then the map is padded.
        size = (max(map_height, weight.shape[2]), max(map_width, weight.shape[3]))
        if size != (1, 1):
            activations = nn.functional.pad(values, (0, size[1] - map_width, 0, size[0] - map_height)).numpy()
            found.append(
                LayerSpectrum(
                    name,
                    weight_variance(weight, size),
                    activation_variance(activations[:1]),
                    activation_variance(activations),
                )
            )
    return found


def with_weights(model: nn.Sequential, planes: dict[str, np.ndarray]) -> nn.Sequential:
    """A copy of `model` with other weights; a binary layer uses their signs."""
    changed = copy.deepcopy(model)
    for name, weight in planes.items():
        layer = changed.get_submodule(name)
        assert isinstance(layer, STUDIED)
        layer.weight = nn.Parameter(torch.from_numpy(weight.astype(np.float32)).reshape(layer.weight.shape))
    return changed


def compare_codings(
    model: nn.Module,
    to_integers: Callable[[nn.Sequential], Network],
    spec: InputSpec,
    test: Split,
    rates: Sequence[int],
    progress: bool = True,
) -> list[Point]:
    """Keep the weights by every method at every rate, decode them, and run the integer network that results on the test
    set.

    At each rate all methods have the same stored bits to spend, headers included. Water-filling leaves some of them, up
    to a ninth at 1 bit with kernels of 9 weights: bits of a coefficient are whole.

    Parameters
    ----------
    model : torch.nn.Module
        The trained network in evaluation mode: folded, or binary; or any that `as_planes` takes.
    to_integers : callable
        Makes a Network of one like `model`, as a flat Sequential.
    spec : InputSpec
        Its input.
    test : Split
        The images to report on.
    rates : sequence of int
        Bits per weight.
    progress : bool
        Show a bar where there is a terminal.

    Returns
    -------
    list of Point
        Rates in the order given, within each the methods in the order of `CODINGS`.

    Raises
    ------
    ArgumentError
        For rates that are no integers from 1 to 8.
    """
    rates = check_rates(rates)
    model = _straight(model, (spec.channels, spec.height, spec.width))
    weights = as_planes(model, (spec.channels, spec.height, spec.width))
    energy = sum(float((weight.astype(np.float64) ** 2).sum()) for weight in weights.values())
    exact = predict_torch(model, spec.mean, spec.std)(test.images).astype(np.float64)
    shapes = shapes_in_frequency(weights)
    points = []
    for rate, method in track([(r, m) for r in rates for m in CODINGS], "rates", "network", progress):
        stored, error, decoded = 0, 0.0, {}
        for name, weight in weights.items():  # one layer's codes at a time: those of millions of weights take room
            fits = method == CODINGS[2] and weight[0, 0].size > 1
            code = EncodedWeight.encode(weight, method, water_filling_rate(shapes, rate) if fits else rate)
            decoded[name] = code.decode()
            stored += code.stored_bits
            error += float(((decoded[name] - weight) ** 2).sum())
        logits = predict_integers(to_integers(with_weights(model, decoded)))(test.images).astype(np.float64)
        points.append(
            Point(
                method,
                rate,
                stored,
                error / energy,
                float(((logits - exact) ** 2).sum() / (exact**2).sum()),
                float((logits.argmax(1) == test.labels).mean()),
            )
        )
    return points
