"""How a network is compressed: how much is kept, with how many bits, and how long is fine-tuned."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pynq_cnn.checks import integer
from pynq_cnn.errors import ArgumentError

OTHERS = "*"  # stands for all layers that are not named

Number = TypeVar("Number", int, float)


def check_part(name: str, part: Any) -> None:
    """`ArgumentError` for a part of the layer `name` to keep that is not above 0 and at most 1."""
    if isinstance(part, bool) or not isinstance(part, (int, float)) or not 0 < part <= 1:
        raise ArgumentError(f"the part of {name} to keep must be above 0 and at most 1, not {part!r}")


def index_bits(name: str, bits: Any) -> int:
    """Width of the layer `name`'s codebook index, from 2 to 8; `ArgumentError` if it is none."""
    return integer(f"the bits of {name}", bits, 2, 8)


def for_layers(what: str, values: Mapping[str, Number], names: Collection[str]) -> dict[str, Number]:
    """The values of the layers in `names`, in their order; a layer that is not named has the value of `"*"`, or without
    that none.

    Parameters
    ----------
    what : str
        Of what, for messages.
    values : mapping
        By the layer's name, or `"*"` for all others.
    names : collection of str
        The layers that there are.

    Raises
    ------
    ArgumentError
        If `values` is no mapping, or another layer is named; lists those that there are.

    Examples
    --------
    >>> names = ["conv1", "fc1"]
    >>> for_layers("keep", {"fc1": 0.01, "*": 0.5}, names), for_layers("keep", {"fc1": 0.01}, names)
    ({'conv1': 0.5, 'fc1': 0.01}, {'fc1': 0.01})
    """
    if not isinstance(values, Mapping):
        raise ArgumentError(
            f"{what} must have a value for each layer by its name, such as {{'*': ...}} for all of them, not"
            f" {values!r:.60}"
        )
    unknown = [name for name in values if name not in names and name != OTHERS]
    if unknown:
        raise ArgumentError(f"{what} names the layer {unknown[0]!r}; the layers with weights are {', '.join(names)}")
    return {
        name: values[name] if name in values else values[OTHERS] for name in names if name in values or OTHERS in values
    }


@dataclass(frozen=True)
class CompressionRecipe:
    """Everything that a compression depends on but the trained network, the data and the seed.

    Batch, weight decay and augmentation are those of the network's training.

    Parameters
    ----------
    keep : mapping of str to float
        Part of a layer's weights to keep, above 0 to 1, by the layer's name; `"*"` is for all others. Biases are always
        kept.
    bits : mapping of str to int
        Width of a layer's codebook index, 2 to 8: up to 2^bits - 1 different weights, and zero.
    rounds : int
        Of pruning a part of it and fine-tuning, on the way to what is to be kept.
    round_epochs, tune_epochs : int
        Of fine-tuning in each round, and after the last one.
    learning_rate : float
        Highest learning rate of both.
    share_epochs : int
        Of fine-tuning the shared weights.
    share_learning_rate : float
        Their highest learning rate.
    units : mapping of str to int
        Outputs of a layer that are left before anything else (`narrow`), by the layer's name; `keep` is of the weights
        that are there then. None are left out of a layer that is not named.
    distillation : float
        Of the loss of every fine-tuning, the part that says how far the answers are from those of the trained network,
        0 to 1.

    Raises
    ------
    ArgumentError
        For a number outside its range.

    Examples
    --------
    >>> recipe = CompressionRecipe(keep={"fc1": 0.01, "*": 0.5})
    >>> recipe.layers(["conv1", "fc1"]).keep
    {'conv1': 0.5, 'fc1': 0.01}
    """

    keep: Mapping[str, float] = field(default_factory=lambda: {OTHERS: 0.2})
    bits: Mapping[str, int] = field(default_factory=lambda: {OTHERS: 4})
    rounds: int = 5
    round_epochs: int = 2
    tune_epochs: int = 10
    learning_rate: float = 1e-3
    share_epochs: int = 5
    share_learning_rate: float = 3e-4
    units: Mapping[str, int] = field(default_factory=dict)
    distillation: float = 0.0

    def __post_init__(self) -> None:
        for name, part in self.keep.items():
            check_part(name, part)
        object.__setattr__(self, "bits", {name: index_bits(name, bits) for name, bits in self.bits.items()})
        units = {name: integer(f"the units of {name}", count, 1) for name, count in self.units.items()}
        object.__setattr__(self, "units", units)
        if not 0 <= self.distillation <= 1:
            raise ArgumentError(f"distillation must be from 0 to 1, not {self.distillation!r}")
        for name in ("rounds", "round_epochs", "tune_epochs", "share_epochs"):
            object.__setattr__(self, name, integer(name, getattr(self, name), 1))
        for name in ("learning_rate", "share_learning_rate"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ArgumentError(f"{name} must be positive, not {getattr(self, name)!r}")

    def layers(self, names: Iterable[str]) -> CompressionRecipe:
        """The recipe with `keep` and `bits` of every layer in `names`; `ArgumentError` if another layer is named, or
        one is left out.
        """
        names = list(names)
        resolved: dict[str, Any] = {}
        for what in ("keep", "bits"):
            resolved[what] = for_layers(what, getattr(self, what), names)
            missing = [name for name in names if name not in resolved[what]]
            if missing:
                raise ArgumentError(
                    f"{what} says nothing of the layer {missing[0]!r}; name it, or give a value for all others"
                )
        return replace(self, **resolved)


# The small one, as a demonstration: 13,242 parameters have little to spare.
LENET = CompressionRecipe(
    keep={"conv1": 0.9, "conv2": 0.5, "fc1": 0.12, "fc2": 0.5},
    bits={OTHERS: 4},
    rounds=6,
    round_epochs=5,
    tune_epochs=30,
    share_epochs=10,
)

# Caffe's LeNet-5, of Deep Compression's own table (39x). About 1.4 % of the weights: 1.72 MB to about 11 KB (156x).
LENET5 = CompressionRecipe(
    keep={"conv1": 0.5, "conv2": 0.08, "fc1": 0.008, "fc2": 0.12},
    bits={"conv1": 4, "conv2": 4, "fc1": 3, "fc2": 3},
    rounds=10,
    round_epochs=3,
    tune_epochs=30,
    learning_rate=4e-3,  # few weights learn at a rate that would be too high for all
    share_epochs=10,
)

# 6,575,680 weights, nearly all in fc1. About 0.14 % of them: 26.3 MB to about 18 KB.
DEEPNET = CompressionRecipe(
    keep={"conv1": 0.4, "conv2": 0.018, "fc1": 0.0009, "fc2": 0.1},
    bits={"conv1": 4, "conv2": 3, "fc1": 3, "fc2": 3},
    rounds=14,
    round_epochs=1,
    tune_epochs=20,
    learning_rate=2e-3,
    share_epochs=5,
)

COMPRESSIONS = {"lenet": LENET, "lenet5": LENET5, "deepnet": DEEPNET}


def find_compression(network: str) -> CompressionRecipe:
    """The recipe for a network, or the general one, which keeps 20 % of every layer in 4 bits.

    Examples
    --------
    >>> find_compression("lenet").rounds, find_compression("a network of my own").bits["*"]
    (6, 4)
    """
    return COMPRESSIONS.get(network, CompressionRecipe())
