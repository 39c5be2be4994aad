"""A network: input, layers in integers, output scaling, class names."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np

from pynq_cnn.checks import is_integer
from pynq_cnn.errors import ArgumentError, NetworkError
from pynq_cnn.model.colors import COLORS, PLAIN
from pynq_cnn.model.datatype import INT32, UINT8
from pynq_cnn.model.description import Description, integers, short
from pynq_cnn.model.graph import Node, connect
from pynq_cnn.model.layers import LAYERS, MAX_DIMENSION, Layer
from pynq_cnn.model.output import OUTPUTS, OutputSpec, answers
from pynq_cnn.model.plain import plain_json, plain_name
from pynq_cnn.model.tensor import Shape, TensorType
from pynq_cnn.table import html_table, text_table

FITS = ("digit", "crop")
INVERTS = ("auto", "never")


def _finite(where: str, values: Any, count: int, positive: bool) -> tuple[float, ...]:
    try:
        given = tuple(values)
        if any(isinstance(v, bool) or not isinstance(v, Real) for v in given):
            raise TypeError
        numbers = tuple(float(v) for v in given)
    except (TypeError, ValueError, OverflowError):
        raise NetworkError(f"{where} must be {count} numbers, not {short(values)}") from None
    if len(numbers) != count or not np.all(np.isfinite(numbers)) or (positive and min(numbers) <= 0):
        raise NetworkError(
            f"{where} must be {count} finite{' positive' if positive else ''} numbers, not {short(values)}"
        )
    return numbers


def _different(what: str, names: Sequence[str]) -> Sequence[str]:
    """`names`, if none is there twice: answers and files go by name."""
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise NetworkError(f"{what} must be unique, {short(repeated)} repeat")
    return names


@dataclass(frozen=True)
class InputSpec:
    """The input of a network, and how a picture becomes that (docs/contract/model-package.md).

    Parameters
    ----------
    height, width, channels : int
        Size of the input in pixels.
    color : {"L", "LA", "RGB", "BGR", "RGBA", "BGRA", "plain"}
        The channels and their order: grey, colours, with or without alpha, which pictures have; or any number of plain
        channels, which only arrays have.
    mean, std : tuple of float
        Per channel, of the real input in 0..1. For information: they are folded into the first layer.
    fit : {"digit", "crop"}
        How a picture of another size is fitted.
    invert : {"auto", "never"}
        Whether a picture with a light border is inverted.
    zero_point : tuple of int, optional
        The byte per channel that stands for real 0, with which the first layer pads. None: the nearest to
        `255 * mean`.

    Raises
    ------
    NetworkError
        For a value outside these.
    """

    height: int
    width: int
    channels: int
    color: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fit: str = "crop"
    invert: str = "never"
    zero_point: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("height", "width", "channels"):
            value = getattr(self, name)
            if not is_integer(value, 1, MAX_DIMENSION):
                raise NetworkError(f"input.{name} must be an integer from 1 to {MAX_DIMENSION}, not {short(value)}")
            object.__setattr__(self, name, int(value))
        for name, choices in (("color", (*COLORS, PLAIN)), ("fit", FITS), ("invert", INVERTS)):
            value = getattr(self, name)
            if not isinstance(value, str) or value not in choices:
                raise NetworkError(f"input.{name} must be one of {', '.join(choices)}, not {short(value)}")
        if COLORS.get(self.color, self.channels) != self.channels:
            raise NetworkError(
                f"input.color {self.color!r} has {COLORS[self.color]} channel(s), but input.channels is"
                f" {self.channels}; channels that are no colours are 'plain'"
            )
        if self.color == PLAIN and (self.fit, self.invert) != ("crop", "never"):
            raise NetworkError(
                f"input.color 'plain' goes with input.fit 'crop' and input.invert 'never', not {self.fit!r} and"
                f" {self.invert!r}: nothing is known of what its channels are"
            )
        object.__setattr__(self, "mean", _finite("input.mean", self.mean, self.channels, positive=False))
        object.__setattr__(self, "std", _finite("input.std", self.std, self.channels, positive=True))
        if self.zero_point is not None:
            given = integers("input.zero_point", self.zero_point, self.channels, 0, 255)
            object.__setattr__(self, "zero_point", None if given == self._nearest else given)

    @property
    def shape(self) -> Shape:
        """(height, width, channels)."""
        return self.height, self.width, self.channels

    @property
    def _nearest(self) -> tuple[int, ...]:
        return tuple(round(min(max(255 * mean, 0), 255)) for mean in self.mean)

    @property
    def zero_points(self) -> tuple[int, ...]:
        """The byte per channel that stands for real 0."""
        return self._nearest if self.zero_point is None else self.zero_point

    @property
    def tensor(self) -> TensorType:
        """The tensor that layers take as `input`."""
        return TensorType(UINT8, self.shape, self.zero_points)


@dataclass(frozen=True, eq=False, repr=False)
class Golden(Description):
    """Images and the accumulators that every backend must give for them.

    Parameters
    ----------
    images : numpy.ndarray
        uint8 [n, height, width, channels].
    accumulators : numpy.ndarray
        int32 [n, outputs].
    """

    images: np.ndarray
    accumulators: np.ndarray

    def __post_init__(self) -> None:
        images = self._freeze("images", UINT8, (None, None, None, None))
        self._freeze("accumulators", INT32, (len(images), None))


@dataclass(frozen=True, eq=False, repr=False)
class Network(Description):
    """A network in integers, ready for any backend; checked as a whole when it is made.

    Parameters
    ----------
    name : str
        Its name.
    input : InputSpec
        Its input.
    layers : tuple of Layer
        In order: each behind those whose outputs it takes, which is that before it unless it names its `inputs`. All
        but the last give uint8 or bits, the last gives int32 over a 1 x 1 image.
    output : OutputSpec
        From accumulators to logits, and what these say.
    classes : tuple of str
        One name per output; of one probability by sigmoid two, the first for a probability near 0, the second for one
        near 1.
    golden : Golden, optional
        Vectors for the self-test.
    metadata : dict
        Data set, recipe, measured accuracy; JSON values. Never computed with.

    Raises
    ------
    NetworkError
        If shapes do not chain, names repeat, or a layer is where it may not be.

    Examples
    --------
    >>> from pynq_cnn.model import Dense
    >>> layer = Dense("fc", np.ones((2, 4), np.int8), np.zeros(2, np.int32))
    >>> output = OutputSpec(np.ones(2, np.float32), np.zeros(2, np.float32))
    >>> net = Network("tiny", InputSpec(2, 2, 1, "L", (0.0,), (1.0,)), (layer,), output, ("a", "b"))
    >>> net.nodes[0].gives.shape, net.logits(np.array([[3, 4]], np.int32)).tolist()
    ((1, 1, 2), [[3.0, 4.0]])
    >>> print(net)
    <Network 'tiny': 2 x 2 L to 2 classes, 1 layers, 8 weights>
    layer  kind   gives      type   weights  multiply-acc.
    fc     Dense  1 x 1 x 2  int32        8              8
    """

    name: str
    input: InputSpec
    layers: tuple[Layer, ...]
    output: OutputSpec
    classes: tuple[str, ...]
    golden: Golden | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", plain_name("the network's name", self.name))
        for name in ("layers", "classes"):
            value = getattr(self, name)
            if isinstance(value, str) or not isinstance(value, Iterable):
                raise NetworkError(f"{name} must be a list, not {short(value)}")
            object.__setattr__(self, name, tuple(value))
        for name, kind in (("input", InputSpec), ("output", OutputSpec)):
            if not isinstance(getattr(self, name), kind):
                raise NetworkError(f"{name} must be an {kind.__name__}, not {short(getattr(self, name))}")
        if not self.layers or not all(type(layer) in LAYERS for layer in self.layers):
            kinds = ", ".join(kind.__name__ for kind in LAYERS)
            raise NetworkError(
                f"layers must be {kinds}, at least one, not {short(sorted({type(x).__name__ for x in self.layers}))}"
            )
        names = _different("layer names", [layer.name for layer in self.layers])
        object.__setattr__(self, "_nodes", connect(self.input.tensor, self.layers))
        self._check_last()
        outputs = self.nodes[-1].gives.shape[2]
        if self.output.outputs != outputs:
            raise NetworkError(
                f"output.scale must have {outputs} values, one per output of {names[-1]}, not {self.output.outputs}"
            )
        wanted = self.output.classes
        if len(self.classes) != wanted:
            per = (
                "for a probability near 0 and near 1"
                if self.output.kind == "sigmoid"
                else f"one per output of {names[-1]}"
            )
            raise NetworkError(f"classes must be {wanted} strings, {per}, not {short(self.classes)}")
        object.__setattr__(
            self, "classes", tuple(plain_name(f"classes[{i}]", name) for i, name in enumerate(self.classes))
        )
        _different("class names", self.classes)
        if not isinstance(self.golden, (Golden, type(None))):
            raise NetworkError(f"golden must be a Golden or None, not {short(self.golden)}")
        if self.golden is not None:
            if self.golden.images.shape[1:] != self.input.shape:
                raise NetworkError(f"golden.images must be {self.input.shape} each, not {self.golden.images.shape[1:]}")
            if self.golden.accumulators.shape[1] != outputs:
                raise NetworkError(
                    f"golden.accumulators must have {outputs} columns, not {self.golden.accumulators.shape[1]}"
                )
        if not isinstance(self.metadata, dict):
            raise NetworkError(f"metadata must be a dict, not {type(self.metadata).__name__}")
        object.__setattr__(self, "metadata", plain_json("metadata", self.metadata))

    def _check_last(self) -> None:
        """See that the last layer gives accumulators of one pixel."""
        last = self.nodes[-1]
        if last.gives.datatype is not INT32:
            raise NetworkError(
                f"the last layer, {last.name}, must give int32: no max pooling, no concatenation, no multiplier and"
                " shift, no threshold",
                last.name,
            )
        if last.gives.shape[:2] != (1, 1):
            raise NetworkError(
                f"the last layer, {last.name}, must give a 1 x 1 image, not {last.gives.shape}", last.name
            )

    def __repr__(self) -> str:
        given = f"{self.input.channels} plain channels" if self.input.color == PLAIN else self.input.color
        sizes = f"{self.input.height} x {self.input.width} {given} to {len(self.classes)} {OUTPUTS[self.output.kind]}"
        return (
            f"<Network {self.name!r}: {sizes}, {len(self.layers)} layers,"
            f" {sum(layer.weight_count for layer in self.layers):,} weights>"
        )

    def __str__(self) -> str:
        return f"{self!r}\n{text_table(self._rows(), left=4)}"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{html_table(self._rows())}"

    def _rows(self) -> list[tuple[str, ...]]:
        """The layers as a table: what each takes, if not that before it, and gives, its weights, its
        multiply-accumulates an image.
        """
        named = any(layer.inputs for layer in self.layers)
        rows: list[tuple[str, ...]] = [("layer", "kind", "gives", "type", "weights", "multiply-acc.")]
        for node in self.nodes:
            layer, gives = node.layer, " x ".join(map(str, node.gives.shape))
            kind = type(layer).__name__ + (f" of {', '.join(layer.inputs)}" if named and layer.inputs else "")
            numbers = f"{layer.weight_count:,}", f"{node.macs:,}"
            rows.append((layer.name, kind, gives, node.gives.datatype.name, *numbers))
        return rows

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Each layer with the tensors that it takes and gives, in order."""
        return self._nodes  # type: ignore[attr-defined]

    @property
    def input_shape(self) -> Shape:
        """(height, width, channels)."""
        return self.input.shape

    def logits(self, accumulators: np.ndarray) -> np.ndarray:
        """float32 [n, outputs] logits of int32 [n, outputs] accumulators; `ArgumentError` for anything else."""
        outputs = self.output.outputs
        if (
            not isinstance(accumulators, np.ndarray)
            or accumulators.dtype != np.int32
            or accumulators.shape[1:] != (outputs,)
        ):
            raise ArgumentError(f"accumulators must be an int32 array [n, {outputs}], not {accumulators!r:.100}")
        logits = accumulators.astype(np.float32)
        logits *= self.output.scale
        logits += self.output.offset
        return logits

    def answers(self, logits: np.ndarray) -> np.ndarray:
        """Answers of float32 logits [n, outputs]: classes int64 [n], or by kind of output what
        `pynq_cnn.model.output.answers` gives.
        """
        return answers(logits, self.output.kind)

    def check_images(self, images: np.ndarray) -> np.ndarray:
        """`images`, if they are a uint8 array [n, height, width, channels]; `ArgumentError` if not."""
        if (
            not isinstance(images, np.ndarray)
            or images.dtype != np.uint8
            or images.shape[1:] != self.input.shape
            or images.ndim != 4
        ):
            have = f"{images.dtype} {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
            raise ArgumentError(
                f"{self.name} takes images as a uint8 array [n, {', '.join(map(str, self.input.shape))}], not {have}"
            )
        return images
