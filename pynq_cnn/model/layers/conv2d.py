"""Convolution on bytes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pynq_cnn.errors import NetworkError
from pynq_cnn.model.datatype import INT8, INT32
from pynq_cnn.model.description import integers
from pynq_cnn.model.frequency import FrequencyWeight
from pynq_cnn.model.layers.accumulator import check_accumulator
from pynq_cnn.model.layers.base import MAX_DIMENSION, check_layer
from pynq_cnn.model.layers.finish import Requantisation, Threshold, check_finish, finished
from pynq_cnn.model.layers.skip import Skip, check_skip, output_shape
from pynq_cnn.model.layers.weighted import ByteWeighted, Convolution, check_shared
from pynq_cnn.model.layers.window import Padding, Pair, normalise_padding, normalise_pair
from pynq_cnn.model.shared import SharedWeight
from pynq_cnn.model.tensor import TensorType


@dataclass(frozen=True, eq=False, repr=False)
class Conv2d(ByteWeighted, Convolution):
    """Integer convolution on bytes, then requantisation, or a threshold to bits (docs/contract/numerics.md, sections 2,
    3 and 6).

    Parameters
    ----------
    name : str
        Unique in its network.
    weight : numpy.ndarray
        int8 [out, kernel_h, kernel_w, in / groups] in [-127, 127].
    bias : numpy.ndarray
        int32 [out], in units of the accumulator; the input's zero point is folded into it.
    stride : int or tuple of int
        (vertical, horizontal) or one number for both, 1 to 255.
    padding : tuple of int
        (top, left, bottom, right), or (vertical, horizontal); each smaller than what the kernel covers. Padded pixels
        have the zero point of the input.
    requantisation : Requantisation, optional
        To bytes. Without it and `threshold` the result is the int32 accumulator: only in the last layer.
    threshold : Threshold, optional
        To bits.
    shared : SharedWeight or FrequencyWeight, optional
        The same weights as a pruned, weight-shared stream, or in frequency: how a package keeps them.
    dilation : int or tuple of int
        Distance of the kernel's taps, (vertical, horizontal) or one number for both, 1 to 255.
    groups : int
        Output channels of a group see the input channels of that group alone. As many as input channels: depthwise.
    skip : Skip, optional
        A tensor of the output's shape that is added in the accumulator: the second of `inputs`.
    inputs : tuple of str
        The layer whose output it takes, that before it if empty; with `skip` two of them.

    Raises
    ------
    NetworkError
        If anything breaks the arithmetic contract.

    Examples
    --------
    >>> layer = Conv2d("c", np.ones((4, 3, 3, 1), np.int8), np.zeros(4, np.int32), padding=(1, 1))
    >>> layer.output_shape((28, 28, 1)), layer.padding
    ((28, 28, 4), (1, 1, 1, 1))
    """

    name: str
    weight: np.ndarray
    bias: np.ndarray
    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    requantisation: Requantisation | None = None
    threshold: Threshold | None = None
    shared: SharedWeight | FrequencyWeight | None = None
    dilation: Pair = (1, 1)
    groups: int = 1
    skip: Skip | None = None
    inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_layer(self)
        weight = self._freeze("weight", INT8, (None, None, None, None))
        self._freeze("bias", INT32, (len(weight),))
        normalise_pair(self, "stride")
        normalise_pair(self, "dilation")
        normalise_padding(self, self.extent)
        object.__setattr__(self, "groups", integers(f"{self.name}.groups", self.groups, 1, 1, MAX_DIMENSION)[0])
        if len(weight) % self.groups:
            raise NetworkError(f"{self.name}.groups {self.groups} must divide its {len(weight)} output channels")
        check_finish(self.name, self.requantisation, self.threshold, len(weight))
        check_skip(self.name, self.skip, len(weight))
        check_shared(self)
        check_accumulator(self.name, weight, self.bias, self.skip)

    @property
    def depthwise(self) -> bool:
        """Whether every output channel sees one input channel alone, its own."""
        return self.groups == self.in_channels == self.outputs

    def output(self, *given: TensorType) -> TensorType:
        """The tensor that it gives: bytes, bits or int32; `NetworkError` if it cannot take its inputs."""
        return finished(output_shape(self, given), self.requantisation, self.threshold)
