"""Networks in integers as what `sensitivity` measures: their weights as layers that can be pruned and shared."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from host_train.compression.prune import weighted_layers
from host_train.data import Split
from host_train.evaluation.evaluate import evaluate, predict_integers
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import Network
from pynq_cnn.model.layers.weighted import ByteWeighted

MOST = 127


class Measured(Protocol):
    """A network whose accuracy is measured with changed weights: a `Subject`, or a network in integers."""

    @property
    def name(self) -> str:
        """As in files."""

    @property
    def title(self) -> str:
        """Of plots."""

    @property
    def std(self) -> tuple[float, ...]:
        """Per-channel deviation that the images were divided by (`host_train.compression.share.share`)."""

    @property
    def device(self) -> str:
        """torch's, of copies of the model."""

    @property
    def model(self) -> nn.Module:
        """Its layers with weights."""

    @property
    def images(self) -> str:
        """The images that it is measured on, such as `500 validation images`."""

    def copy(self) -> nn.Module:
        """A copy of the model, to change."""

    def measure(self, model: nn.Module) -> tuple[float, float]:
        """Mean cross-entropy and accuracy, 0 to 1, of a model like it."""


@dataclass(frozen=True, eq=False)
class IntegerSubject:
    """A network in integers with labelled images.

    What is changed are the real values of its weights, up to a factor for each layer; they are rounded to its integers
    again. Layers of bits, and those of a binary network that see bytes, have nothing to leave out.

    Parameters
    ----------
    network : Network
        Of bytes.
    split : Split
        Images as it takes them, with its labels.
    what : str
        The images, such as `test images of MNIST`.

    Examples
    --------
    >>> from pynq_cnn.zoo import load_model, load_sample
    >>> images, labels = load_sample()
    >>> subject = IntegerSubject(load_model("lenet"), Split(images[..., None], labels), "test images")
    >>> [tuple(layer.weight.shape) for layer in subject.model], subject.measure(subject.copy())[1]
    ([(4, 9), (8, 36), (32, 392), (10, 32)], 0.994)
    """

    network: Network
    split: Split
    what: str
    std: tuple[float, ...] = (1.0,)
    device: str = "cpu"

    @property
    def name(self) -> str:
        """As in files."""
        return self.network.name

    @property
    def title(self) -> str:
        """Of plots."""
        return f"{self.network.name} in integers"

    @property
    def images(self) -> str:
        return f"{len(self.split)} {self.what}"

    @property
    def model(self) -> nn.Module:
        """A Linear for each layer, whose weight [out, inputs of a sum] is the layer's."""
        found = _weighted(self.network)
        if not found:
            raise ArgumentError(f"{self.network.name} has no weights of bytes: what is binary has nothing to leave out")
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for name, layer in found.items():
            rows = torch.from_numpy(layer.weight.reshape(len(layer.weight), -1) * self._units(layer)).float()
            made = nn.Linear(rows.shape[1], rows.shape[0], bias=False)
            made.weight = nn.Parameter(rows)
            layers[name] = made
        return nn.Sequential(layers)

    def copy(self) -> nn.Module:
        return self.model  # which is made anew each time

    def measure(self, model: nn.Module) -> tuple[float, float]:
        made, changed = weighted_layers(model), {}
        for name, layer in _weighted(self.network).items():
            whole = np.rint(made[name].weight.detach().double().numpy() / self._units(layer))
            weight = np.clip(whole, -MOST, MOST).astype(np.int8).reshape(layer.weight.shape)
            changed[name] = replace(layer, weight=weight, shared=None)
        layers = tuple(changed.get(layer.name, layer) for layer in self.network.layers)
        network = replace(self.network, layers=layers, golden=None)
        found = evaluate(predict_integers(network, progress=False), self.split, network.classes)
        return found.loss, found.top1

    def _units(self, layer: ByteWeighted) -> np.ndarray:
        """Real value of a unit of each row of a layer's weights, float64 [out, 1], up to a factor."""
        steps = self.network.output.scale
        if layer.requantisation is not None:
            steps = layer.requantisation.multiplier / 2.0**layer.requantisation.shift
        return np.broadcast_to(steps / steps.max(), len(layer.weight)).astype(np.float64)[:, None]


def _weighted(network: Network) -> dict[str, Any]:
    """The layers of bytes."""
    return {
        layer.name: layer for layer in network.layers if isinstance(layer, ByteWeighted) and layer.threshold is None
    }
