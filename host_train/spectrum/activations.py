"""Feature maps at few bits: transformed, bits given to frequencies by their variance, quantised, transformed back, and
handed to the next layer; beside uniform quantisation in as many bits.

Mean, step and bits of every coefficient are of the layer, from training images; a map itself is stored as codes alone,
so that all ways take the same bits for each map. Water-filling may leave some of them, as bits are whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from host_train.data import Split
from host_train.progress import track
from host_train.spectrum.allocate import whole_bits
from host_train.spectrum.basis import RealFourier
from host_train.spectrum.codec import CODINGS, Group, through_columns
from pynq_cnn.backends.reference.execution import execution
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import BIT, BinaryConv2d, Conv2d, Dense, Network
from pynq_cnn.model.layers import INPUT
from pynq_cnn.model.output import class_logits

Through = Callable[[np.ndarray], np.ndarray]
BATCH = 100


@dataclass(frozen=True)
class MapPoint:
    """One way to keep all feature maps.

    Parameters
    ----------
    method : str
        One of `CODINGS`.
    rate : int
        Bits per value.
    bits : float
        Bits per value that it takes, over all maps.
    map_error : float
        Squared error of the maps, of their squared sum about their mean, over the layers' mean.
    logit_error : float
        Squared error of the logits, of their squared sum.
    top1 : float
        On the images, 0 to 1.
    """

    method: str
    rate: int
    bits: float
    map_error: float
    logit_error: float
    top1: float


@dataclass(frozen=True, eq=False)
class MapCodec:
    """How the maps of one layer are kept.

    Parameters
    ----------
    height, width : int
        Of a map.
    groups : tuple of Group
        One for all values in space or coefficients in frequency, or one for each coefficient.
    frequency : bool
        Whether coefficients are kept.
    top : int
        Largest value, 255 of bytes and 1 of bits.
    """

    height: int
    width: int
    groups: tuple[Group, ...]
    frequency: bool
    top: int

    @classmethod
    def of(cls, maps: np.ndarray, method: str, rate: int, top: int, signed: bool = False) -> MapCodec:
        """For the maps [n, height, width, channels] of training images, at `rate` bits per value.

        `signed` ones stand for values of either sign, as what a residual block hands past its ReLU: in space their
        levels lie about the mean, where others begin at 0.
        """
        if method not in CODINGS:
            raise ArgumentError(f"method must be one of {', '.join(CODINGS)}, not {method!r}")
        height, width = maps.shape[1:3]
        planes = _planes(maps)
        if method == CODINGS[0]:
            encode = Group.encode if signed else Group.from_zero
            return cls(height, width, (encode(planes.ravel(), rate),), False, top)
        coefficients = RealFourier(height, width).forward(planes.reshape(-1, height, width))
        if method == CODINGS[1]:
            return cls(height, width, (Group.encode(coefficients.ravel(), rate),), True, top)
        bits = whole_bits(coefficients.var(0), rate)
        groups = tuple(Group.encode(column, int(b)) for column, b in zip(coefficients.T, bits))
        return cls(height, width, groups, True, top)

    @property
    def bits(self) -> float:
        """Bits per value."""
        return float(np.mean([group.bits for group in self.groups]))

    def through(self, maps: np.ndarray) -> np.ndarray:
        """Maps that come back of maps uint8 [n, height, width, channels]: as bytes, or bits."""
        planes = _planes(maps)
        values = planes
        if self.frequency:
            values = RealFourier(self.height, self.width).forward(planes.reshape(-1, self.height, self.width))
        values = through_columns(self.groups, values)
        if self.frequency:
            values = RealFourier(self.height, self.width).inverse(values).reshape(values.shape)
        if self.top == 1:  # a bit is what lies above the middle of its levels
            values = values > (0.5 if self.frequency else self.groups[0].mean)
        back = np.clip(np.rint(values), 0, self.top).astype(np.uint8)
        n, channels = len(maps), maps.shape[3]
        return back.reshape(n, channels, self.height, self.width).transpose(0, 2, 3, 1)


def _planes(maps: np.ndarray) -> np.ndarray:
    """float64 [n * channels, height * width] of [n, height, width, channels]."""
    n, height, width, channels = maps.shape
    return maps.transpose(0, 3, 1, 2).reshape(n * channels, height * width).astype(np.float64)


def kept_maps(network: Network) -> list[str]:
    """The layers whose output is kept between layers with weights, and is a map of more than one pixel."""
    weighted = (Conv2d, Dense, BinaryConv2d)
    read = {name for node in network.nodes if isinstance(node.layer, weighted) for name in node.inputs}
    return [
        node.name
        for node in network.nodes
        if node.name in read and node.gives.shape[0] * node.gives.shape[1] > 1 and node.name != INPUT
    ]


def run_through(network: Network, images: np.ndarray, codecs: Mapping[str, Through]) -> np.ndarray:
    """int32 [n, outputs], the outputs of some layers put through what keeps them.

    Parameters
    ----------
    network : Network
        In integers.
    images : numpy.ndarray
        uint8 [n, height, width, channels].
    codecs : mapping
        By layer, what makes of its output what the next ones are given.
    """
    steps = [execution(node.layer, *node.given) for node in network.nodes]
    results = []
    for start in range(0, len(images), BATCH):
        tensors = {INPUT: images[start : start + BATCH]}
        for node, step in zip(network.nodes, steps):
            values = step(*(tensors[name] for name in node.inputs))
            tensors[node.name] = codecs[node.name](values) if node.name in codecs else values
        results.append(values[:, 0, 0, :])
    return np.concatenate(results)


def compare_maps(
    network: Network, training: np.ndarray, test: Split, rates: Sequence[int], progress: bool = True
) -> list[MapPoint]:
    """Keep all feature maps by every method at every rate.

    Parameters
    ----------
    network : Network
        In integers.
    training : numpy.ndarray
        uint8 [n, height, width, channels] that means, steps and bits are taken from.
    test : Split
        What is reported on.
    rates : sequence of int
        Bits per value.
    progress : bool
        Show a bar where there is a terminal.

    Raises
    ------
    ArgumentError
        If there is no map between two layers.
    """
    names = kept_maps(network)
    if not names:
        raise ArgumentError(f"{network.name} has no feature map between two layers with weights")
    seen: dict[str, list[np.ndarray]] = {name: [] for name in names}

    def noting(name: str) -> Through:
        def note(values: np.ndarray) -> np.ndarray:
            seen[name].append(values)
            return values

        return note

    run_through(network, training, {name: noting(name) for name in names})
    maps = {name: np.concatenate(some) for name, some in seen.items()}
    kinds = {
        node.name: (1 if node.gives.datatype == BIT else 255, any(node.gives.zero_point)) for node in network.nodes
    }
    kind = network.output.kind
    exact = network.logits(run_through(network, test.images, {})).astype(np.float64)
    points = []
    for rate, method in track([(r, m) for r in rates for m in CODINGS], "maps", "way", progress):
        codecs = {name: MapCodec.of(some, method, rate, *kinds[name]) for name, some in maps.items()}
        errors = [_error(codecs[name], some) for name, some in maps.items()]
        values = [maps[name].shape[1] * maps[name].shape[2] * maps[name].shape[3] for name in names]
        accumulators = run_through(network, test.images, {name: codec.through for name, codec in codecs.items()})
        logits = network.logits(accumulators).astype(np.float64)
        answers = class_logits(logits.astype(np.float32), kind).argmax(1)
        points.append(
            MapPoint(
                method,
                rate,
                float(np.average([codecs[name].bits for name in names], weights=values)),
                float(np.mean(errors)),
                float(((logits - exact) ** 2).sum() / (exact**2).sum()),
                float((answers == test.labels).mean()),
            )
        )
    return points


def _error(codec: MapCodec, maps: np.ndarray) -> float:
    exact = maps.astype(np.float64)
    spread = float(((exact - exact.mean()) ** 2).sum()) or 1.0
    return float(((codec.through(maps) - exact) ** 2).sum()) / spread
