"""Ways to put a traced model in integers, of which the closest to it is taken."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from host_train.compression.encoding import encode_layers
from host_train.progress import pieces
from host_train.quantisation.bits import binary_to_network
from host_train.quantisation.calibrate import METHODS, calibrations
from host_train.quantisation.correct import channel_means, correct
from host_train.quantisation.equalise import equalised
from host_train.quantisation.fold import fold
from host_train.quantisation.graph import LayerGraph
from host_train.quantisation.to_network import to_network
from host_train.tracing.fidelity import Fidelity
from host_train.tracing.fine_tune import fine_tuned
from pynq_cnn.backends.select import on_cpu
from pynq_cnn.model import InputSpec, Network

BATCH = 128


@dataclass(frozen=True)
class Target:
    """A network's description, apart from its numbers.

    Parameters
    ----------
    name : str
        The network's.
    spec : InputSpec
        Its input.
    classes : sequence of str
        Names of its outputs.
    kind : str
        Of output.
    """

    name: str
    spec: InputSpec
    classes: Sequence[str]
    kind: str

    def of(self, make: Callable[..., Network], form: nn.Module) -> Network:
        """`form` in integers by `make`, `to_network` or `binary_to_network`."""
        return make(form, self.name, self.spec, self.classes, kind=self.kind)


@dataclass(frozen=True, eq=False)
class Attempt:
    """A network in integers, and what it was made of.

    Parameters
    ----------
    label : str
        How it was made.
    network : Network
        In integers.
    logits : numpy.ndarray
        float32 [n, outputs] for the calibration images.
    fidelity : Fidelity
        How far these are from the model's.
    folded, form : LayerGraph, optional
        Its layers in floating point, and on the integers' grids; None of a binary network, which is exact.
    """

    label: str
    network: Network
    logits: np.ndarray
    fidelity: Fidelity
    folded: LayerGraph | None = None
    form: LayerGraph | None = None


class Conversion:
    """Puts one model in integers, measured on its calibration images.

    Parameters
    ----------
    target : Target
        What they shall be.
    octets : numpy.ndarray
        uint8 [n, height, width, channels]: calibration images.
    inputs : torch.Tensor
        float32 [n, channels, height, width]: the same, normalised.
    real : numpy.ndarray
        float32 [n, outputs]: the model's logits for them.
    """

    def __init__(self, target: Target, octets: np.ndarray, inputs: torch.Tensor, real: np.ndarray) -> None:
        self.target, self.octets, self.inputs, self.real = target, octets, inputs, real

    def binary(self, layers: nn.Sequential) -> Attempt:
        """Bits, which answer as the model does."""
        return self._measured("binary", self.target.of(binary_to_network, layers))

    def bytes(self, layers: nn.Sequential, methods: Iterable[str] = METHODS, shared: bool = False) -> list[Attempt]:
        """By each method of calibration, as it is and with its channels equalised; all with corrected biases.

        Weights that shall stay equal within their layer are not equalised.
        """
        folded, batches, methods = fold(layers), self.inputs.split(BATCH), tuple(methods)
        forms = {"": folded} if shared else {"": folded, ", equalised": equalised(folded, batches)}
        found = []
        for suffix, graph in forms.items():
            means = channel_means(graph, self.inputs)
            made = calibrations(graph, batches, self.target.spec.std, methods, per_layer=shared)
            for method, form in made.items():
                correct(form, means, self.inputs)
                found.append(self._of(f"{method}{suffix}", graph, form, shared))
        return found

    def fine_tuned(self, attempt: Attempt, loader: Iterable[object], epochs: int) -> Attempt:
        """An attempt after training on its grids, to answer as the model does."""
        assert attempt.folded is not None and attempt.form is not None
        form = fine_tuned(attempt.form, attempt.folded, loader, self.target.spec, epochs)
        return self._of(f"{attempt.label}, fine-tuned", attempt.folded, form)

    def _of(self, label: str, folded: LayerGraph, form: LayerGraph, shared: bool = False) -> Attempt:
        network = self.target.of(to_network, form)
        return self._measured(label, encode_layers(network) if shared else network, folded, form)

    def _measured(self, label: str, network: Network, *made_of: LayerGraph) -> Attempt:
        backend = on_cpu(network, threads=torch.get_num_threads())
        parts = pieces(self.octets, BATCH, f"{network.name} in integers ({label})", "image")
        logits = network.logits(np.concatenate([backend.run(piece) for piece in parts]))
        return Attempt(label, network, logits, Fidelity.of(logits, self.real, self.target.kind), *made_of)


def closest(attempts: Iterable[Attempt], bound: float = 0.0) -> Attempt:
    """That of the closest logits, of those that answer as the model does most often, or less often by no more than
    chance: the standard error of a part of so many images, and at least one image.

    Parameters
    ----------
    attempts : iterable of Attempt
        Of one model.
    bound : float
        The agreement that will do: one that reaches it goes before those that do not.
    """
    found = list(attempts)
    most = max(found, key=lambda one: one.fidelity.agreement)
    part, images = most.fidelity.agreement, most.fidelity.images
    plain = most.network.output.kind == "values"  # whose agreement is no part of the images
    chance = 0.0 if plain else max(math.sqrt(part * (1 - part) / images), 1 / images)
    least = max(part - chance - 1e-9, bound if part >= bound else 0.0)
    return min(
        (one for one in found if one.fidelity.agreement >= least),
        key=lambda one: (one.fidelity.mean_error, -one.fidelity.agreement),
    )
