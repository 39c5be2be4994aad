"""How far integers are from the model that they were made of, and in which layer they part from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import numpy as np
import torch
from torch import nn

from host_train.layers.binary import is_binary
from host_train.quantisation.fold import fold
from host_train.quantisation.graph import inputs_of, walk
from host_train.quantisation.layers.rules import role
from host_train.quantisation.layers.state import Role
from host_train.tracing.calibration import normalise
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import ArgumentError, NetworkError
from pynq_cnn.model import Network
from pynq_cnn.model.output import answers

MIN_AGREEMENT = 0.95
LOOKED_AT = 128  # images, to find the layer where integers and floats part
UNEVEN = 50.0  # a channel so many times as large as the middle one leaves that one five of the 256 values of a byte
HARDLY = 0.05  # part of the signal
MOST_DECIBELS = 100.0  # what is exact has no noise, and JSON no infinity
TINY = 1e-30
PIXELS = 2**20  # of all images that are looked at: the outputs of every layer are kept for them


def agreement(integer: np.ndarray, real: np.ndarray, kind: str = "softmax") -> float:
    """How much two sets of logits [n, outputs] say the same, 0 to 1.

    Returns
    -------
    float
        The part of the images with the same answer (`pynq_cnn.model.output.answers`): the same class; of independent
        probabilities all on the same side of 0.5. Of plain values 1 less the mean error, in units of the standard
        deviation of `real`, of the worst output.

    Examples
    --------
    >>> real = np.array([[1.0], [-1.0], [3.0], [-3.0]])
    >>> agreement(real - 2, real, "sigmoid"), round(agreement(real + 0.1, real, "values"), 3)
    (0.75, 0.955)
    """
    if kind == "values":
        spread = real.std(0)
        # An output that is the same for all images has no spread: its size stands for it.
        spread = np.where(spread > 0, spread, np.maximum(np.abs(real).max(0), np.finfo(np.float32).tiny))
        return float(max(0.0, 1 - (np.abs(integer - real).mean(0) / spread).max()))
    same = answers(integer, kind) == answers(real, kind)
    return float(same.reshape(len(real), -1).all(1).mean())


@dataclass(frozen=True)
class Fidelity:
    """How far the integers are from the model, on the calibration images.

    Parameters
    ----------
    images : int
        How many were compared.
    agreement : float
        0 to 1; see `agreement`.
    mean_error, max_error : float
        Of the logits, in units of the standard deviation of the model's logits.
    """

    images: int
    agreement: float
    mean_error: float
    max_error: float

    @classmethod
    def of(cls, integer: np.ndarray, real: np.ndarray, kind: str = "softmax") -> Fidelity:
        """Compare logits [n, outputs].

        Examples
        --------
        >>> Fidelity.of(np.array([[1.0, 2.0], [2.0, 1.0]]), np.array([[1.0, 3.0], [1.0, 3.0]]))
        Fidelity(images=2, agreement=0.5, mean_error=1.0, max_error=2.0)
        """
        integer, real = (np.asarray(logits, np.float64) for logits in (integer, real))
        error = np.abs(integer - real) / (real.std() or 1.0)
        return cls(len(real), agreement(integer, real, kind), float(error.mean()), float(error.max()))


@dataclass(frozen=True)
class Parting:
    """A layer of a network in integers beside the same layer in floating point.

    Parameters
    ----------
    name : str
        The layer.
    lost : float
        0 to 1: mean over its channels of the squared error in units of the channel's own mean square, each at most 1.
    largest : int
        Its channel of the largest value.
    uneven : float
        How many times that value is the largest one of the middle channel.
    decibels : float
        Signal to noise: ten times the decimal logarithm of the mean square of the floating-point values over that of
        the error; 100 at most.
    """

    name: str
    lost: float
    largest: int
    uneven: float
    decibels: float


def partings_of(model: nn.Module, network: Network, octets: np.ndarray) -> list[Parting]:
    """`partings` of what `fold` takes; none of a binary network, which is exact."""
    return [] if is_binary(model) else partings(fold(model), network, octets)


def partings(folded: nn.Sequential, network: Network, octets: np.ndarray) -> list[Parting]:
    """Every layer of `network` beside that of the model which it was made of, in order.

    Parameters
    ----------
    folded : torch.nn.Sequential
        From `fold`, its layers called as those of `network`.
    network : Network
        In integers.
    octets : numpy.ndarray
        uint8 [n, height, width, channels]: the first 128 are looked at, of large ones fewer.
    """
    octets = octets[: min(LOOKED_AT, max(8, PIXELS // octets[0, ..., 0].size))]
    outputs = _outputs(folded, normalise(torch.from_numpy(octets.transpose(0, 3, 1, 2).copy()), network.input))
    activations = ReferenceBackend(network).activations(octets)
    found = []
    for (layer, gives), bytes_ in zip(((node.layer, node.gives) for node in network.nodes), activations):
        real = outputs[layer.name]
        ours, theirs = (values.reshape(-1, values.shape[-1]).astype(np.float64) for values in (bytes_, real))
        ours -= gives.zero_point[0]
        if layer is network.layers[-1]:
            ours = network.logits(bytes_[:, 0, 0, :]).astype(np.float64)
        else:  # one step for all bytes of a channel, as they may be equalised; that of least error
            ours *= (ours * theirs).sum(0) / np.maximum((ours * ours).sum(0), 1.0)
        signal, noise = (theirs**2).sum(0), ((ours - theirs) ** 2).sum(0)
        alive = signal > 0
        lost = float(np.minimum(1, noise[alive] / signal[alive]).mean()) if alive.any() else 0.0
        peaks = np.abs(theirs).max(0)
        middle = float(np.median(peaks[alive])) if alive.any() else 1.0
        decibels = 10 * np.log10(max(float(signal.sum()), TINY) / max(float(noise.sum()), TINY))
        uneven = float(peaks.max()) / middle
        found.append(Parting(layer.name, lost, int(peaks.argmax()), uneven, float(min(decibels, MOST_DECIBELS))))
    return found


def _outputs(folded: nn.Sequential, inputs: torch.Tensor) -> dict[str, np.ndarray]:
    """Output of each layer in integers, [n, height, width, channels] or [n, channels]: of one that gives sums, behind
    what is added to them, and its activation.
    """
    outputs: dict[str, np.ndarray] = {}
    of: dict[str, str] = {}
    takes = inputs_of(folded)
    with torch.no_grad():
        for name, layer, _, values in walk(folded, inputs):
            finishes = role(layer, name) in (Role.ACTIVATION, Role.ADDITION)
            of[name] = of[takes[name][0]] if finishes else name
            planar = values.permute(0, 2, 3, 1) if values.ndim == 4 else values
            outputs[of[name]] = planar.numpy()
    return outputs


def check_min_agreement(value: float) -> None:
    """`ArgumentError` if a bound is no number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= value <= 1:
        raise ArgumentError(f"min_agreement must be a number from 0 (take anything) to 1, not {value!r}")


def check_agreement(
    reached: float,
    bound: float,
    what: str,
    kind: str,
    parting: Callable[[], list[Parting]],
    places: dict[str, str] | None = None,
) -> None:
    """Refuse integers that are too far from the model.

    Parameters
    ----------
    reached, bound : float
        The agreement, and the least that will do.
    what : str
        The images that it was measured on, such as `the 64 calibration images`.
    kind : str
        Of output.
    parting : callable
        Gives the `partings` if they are needed; an empty list where there are none.
    places : dict, optional
        Where each layer is computed.

    Raises
    ------
    NetworkError
        Names the layer in which integers and floats part, and says what to do.
    """
    if reached >= bound:
        return
    if kind == "values":
        told = (
            f"in integers its values are off by {100 * (1 - reached):.1f} % of their standard deviation in the mean on"
            f" {what}"
        )
    else:
        told = f"in integers it answers as the model does on only {100 * reached:.1f} % of {what}"
    where, remedy = _explain(parting(), places or {})
    raise NetworkError(
        f"{told}, less than the {100 * bound:g} % asked for{where}; {remedy}, or take it as it is with a min-agreement"
        " of 0"
    )


def _explain(found: list[Parting], places: dict[str, str]) -> tuple[str, str]:
    """Where integers and floats part, and what helps."""
    if not found:
        return "", "train it again, quantisation-aware if you can"
    falls = np.diff([0.0, *(one.lost for one in found)])
    worst = found[int(falls.argmax())]
    if falls.max() < HARDLY:
        return (
            (
                f", though no layer loses more than {100 * max(falls.max(), 0):.1f} % of its signal: the model itself"
                " hardly tells its answers apart here"
            ),
            "calibrate on images like those it was trained on, normalised as there, or train it longer",
        )
    place = f" ({places[worst.name]})" if places.get(worst.name) else ""
    where = (
        f"; they part in layer {worst.name}{place}, which loses {100 * falls.max():.0f} % of the signal of its channels"
    )
    if worst.uneven > UNEVEN:
        return (
            (
                f"{where}, as its channel {worst.largest} is {worst.uneven:,.0f} times as large as the middle one and"
                " all share one scale"
            ),
            (
                "divide that channel's weights and bias, or its batch norm's, by this factor and multiply the next"
                " layer's weights for it"
            ),
        )
    return where, "calibrate on images like those it was trained on, or train it again, quantisation-aware if you can"
