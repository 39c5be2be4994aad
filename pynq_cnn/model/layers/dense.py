"""Fully connected layer on bytes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pynq_cnn.errors import NetworkError
from pynq_cnn.model.datatype import INT8, INT32
from pynq_cnn.model.frequency import FrequencyWeight
from pynq_cnn.model.layers.accumulator import check_accumulator
from pynq_cnn.model.layers.base import check_layer
from pynq_cnn.model.layers.finish import Requantisation, Threshold, check_finish, finished
from pynq_cnn.model.layers.skip import Skip, check_skip, output_shape
from pynq_cnn.model.layers.weighted import ByteWeighted, check_shared
from pynq_cnn.model.shared import SharedWeight
from pynq_cnn.model.tensor import Shape, TensorType


@dataclass(frozen=True, eq=False, repr=False)
class Dense(ByteWeighted):
    """Fully connected layer over its flattened (HWC order) bytes.

    Parameters
    ----------
    name : str
        Unique in its network.
    weight : numpy.ndarray
        int8 [out, in] in [-127, 127].
    bias : numpy.ndarray
        int32 [out]; the input's zero point is folded into it.
    requantisation : Requantisation, optional
        To bytes. Without it and `threshold` the result is the int32 accumulator: only in the last layer.
    threshold : Threshold, optional
        To bits.
    shared : SharedWeight or FrequencyWeight, optional
        The same weights as a pruned, weight-shared stream, or in frequency: how a package keeps them.
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
    >>> Dense("fc", np.ones((10, 392), np.int8), np.zeros(10, np.int32)).output_shape((7, 7, 8))
    (1, 1, 10)
    """

    name: str
    weight: np.ndarray
    bias: np.ndarray
    requantisation: Requantisation | None = None
    threshold: Threshold | None = None
    shared: SharedWeight | FrequencyWeight | None = None
    skip: Skip | None = None
    inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_layer(self)
        weight = self._freeze("weight", INT8, (None, None))
        self._freeze("bias", INT32, (len(weight),))
        check_finish(self.name, self.requantisation, self.threshold, len(weight))
        check_skip(self.name, self.skip, len(weight))
        check_shared(self)
        check_accumulator(self.name, weight, self.bias, self.skip)

    def output(self, *given: TensorType) -> TensorType:
        """The tensor that it gives: bytes, bits or int32; `NetworkError` if it cannot take its inputs."""
        return finished(output_shape(self, given), self.requantisation, self.threshold)

    def output_shape(self, shape: Shape) -> Shape:
        """(1, 1, out); `NetworkError` if the flattened input does not have `in` values."""
        if shape[0] * shape[1] * shape[2] != self.weight.shape[1]:
            raise NetworkError(
                f"{self.name} takes {self.weight.shape[1]} inputs, but its input {shape} has"
                f" {shape[0] * shape[1] * shape[2]}"
            )
        return 1, 1, len(self.weight)

    def macs(self, *given: TensorType) -> int:
        """Multiply-accumulates for one image."""
        return int(self.weight.size)
