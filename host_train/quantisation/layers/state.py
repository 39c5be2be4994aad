"""The state of a walk from layer to layer: what is known at a place between two of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from torch import nn

from host_train.layers.binary import BinaryConv2d, BinaryLinear
from pynq_cnn.model import InputSpec, Layer


@dataclass(frozen=True)
class Place:
    """A place between two layers in floating point.

    Parameters
    ----------
    last : str
        The layer before it, but for batch norm and what is dropped; empty at the image.
    sums_of : str
        The layer with weights whose ReLU has not come yet; empty if there is none.
    logits_of : str
        The layer whose values are here and can be logits; empty if there is none.
    image : bool
        Whether no layer with weights was before it.
    pooled : bool
        Whether there was max pooling since the image, and nothing else.
    foldable : bool
        Whether the weights of the layer before it can take a batch norm.
    """

    last: str = ""
    sums_of: str = ""
    logits_of: str = ""
    image: bool = True
    pooled: bool = False
    foldable: bool = False


@dataclass(frozen=True)
class Grid:
    """The grid of the integers for one layer.

    Parameters
    ----------
    step : float, optional
        Real value of one unit of its output; None where that is no byte with a step of its own.
    std : tuple of float, optional
        Per-channel standard deviation that the image was divided by, where the layer is over the image.
    per_layer : bool
        One step for all its weights, instead of one for each output channel.
    """

    step: float | None
    std: tuple[float, ...] | None
    per_layer: bool


@dataclass(frozen=True, eq=False)
class Values:
    """The values between two layers in integers.

    Parameters
    ----------
    shape : tuple of int
        Of one image, as PyTorch has it: (channels, height, width) or (features,).
    image : tuple of int
        (channels, height, width), from before a flattening.
    unit : numpy.ndarray
        float64 [1] or [channels]: real value of one unit.
    spec : InputSpec, optional
        Given for values of the network's input: their real value is `(byte * unit - mean) / std`.
    sums_of : Layer, optional
        The layer whose accumulators they are, which no activation has finished yet.
    """

    shape: tuple[int, ...]
    image: tuple[int, ...]
    unit: np.ndarray
    spec: InputSpec | None = None
    sums_of: Layer | None = None


@dataclass(eq=False)
class Block:
    """A binary layer with what stands between it and the next.

    Parameters
    ----------
    name : str
        The layer's.
    layer : BinaryConv2d or BinaryLinear
        The layer.
    before, after : list of torch.nn.Module
        Functions of single channels, before and behind the pooling; without pooling all are before it.
    pools : list of (str, torch.nn.MaxPool2d)
        The pooling.
    """

    name: str
    layer: BinaryConv2d | BinaryLinear
    before: list[nn.Module] = field(default_factory=list)
    after: list[nn.Module] = field(default_factory=list)
    pools: list[tuple[str, nn.MaxPool2d]] = field(default_factory=list)

    @property
    def outputs(self) -> int:
        """Output channels."""
        return len(self.layer.weight)

    def add(self, function: nn.Module) -> None:
        """Put a function of single channels behind what is there."""
        (self.after if self.pools else self.before).append(function)
