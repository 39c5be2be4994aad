"""The state of a walk from layer to layer: what is known at a place between two of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from torch import nn

from host_train.layers.binary import BinaryConv2d, BinaryLinear
from pynq_cnn.model import InputSpec, Layer


class Role(Enum):
    """Roles of layers in a graph."""

    SUMS = "gives sums, which an activation makes bytes of"
    ADDITION = "adds a tensor to the sums of the first layer that it takes"
    ACTIVATION = "makes bytes of sums"
    MOVING = "gives values that it is given, not below the values that others give"
    FLATTENING = "gives all that it is given, in another shape"
    CONCATENATION = "puts bytes side by side"
    SCALE = "scales channels, which goes into the weights of another layer or becomes a layer of its own"
    NOTHING = "changes nothing in evaluation mode"


@dataclass(frozen=True)
class ByteGrid:
    """The real values of bytes: `step * (byte - zero_point)`.

    Parameters
    ----------
    step : float
        Real value of one unit.
    zero_point : int
        The byte that stands for 0.
    """

    step: float = 1.0
    zero_point: int = 0


@dataclass(frozen=True)
class Grid:
    """The grid of the integers for one layer.

    Parameters
    ----------
    output : ByteGrid
        Of its output, where it makes bytes.
    std : tuple of float, optional
        Per-channel standard deviation that the image was divided by, where the layer is over the image.
    per_layer : bool
        One step for all its weights, instead of one for each output channel.
    skip : float, optional
        The step of what is added to its sums, in units of the step of its input.
    """

    output: ByteGrid
    std: tuple[float, ...] | None
    per_layer: bool
    skip: float | None = None


@dataclass(frozen=True, eq=False)
class Values:
    """The values that a layer in integers gives.

    Parameters
    ----------
    source : str
        The layer, or "input".
    shape : tuple of int
        Of one image, as PyTorch has it: (channels, height, width) or (features,).
    image : tuple of int
        (channels, height, width), from before a flattening.
    unit : numpy.ndarray
        float64 [1] or [channels]: real value of one unit.
    zero_point : int
        The byte that stands for 0.
    spec : InputSpec, optional
        Given for values of the network's input: their real value is `(byte * unit - mean) / std`.
    sums_of : Layer, optional
        The layer whose accumulators they are, which no activation has finished yet.
    """

    source: str
    shape: tuple[int, ...]
    image: tuple[int, ...]
    unit: np.ndarray
    zero_point: int = 0
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
