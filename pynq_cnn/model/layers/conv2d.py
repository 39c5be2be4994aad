"""Convolution on bytes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pynq_cnn.model.datatype import INT8, INT32, UINT8, DataType
from pynq_cnn.model.layers.accumulator import check_accumulator
from pynq_cnn.model.layers.base import check_name, check_type
from pynq_cnn.model.layers.finish import Requantisation, Threshold, check_finish, finished_type
from pynq_cnn.model.layers.weighted import Convolution, check_shared
from pynq_cnn.model.layers.window import normalise_window
from pynq_cnn.model.shared import SharedWeight


@dataclass(frozen=True, eq=False, repr=False)
class Conv2d(Convolution):
    """Integer convolution on bytes, then ReLU and requantisation, or a threshold to bits (docs/contract/numerics.md,
    sections 2, 3 and 6).

    Parameters
    ----------
    name : str
        Unique in its network.
    weight : numpy.ndarray
        int8 [out, kernel_h, kernel_w, in] in [-127, 127].
    bias : numpy.ndarray
        int32 [out], in units of the accumulator.
    stride, padding : tuple of int
        (vertical, horizontal). Padding is smaller than the kernel.
    requantisation : Requantisation, optional
        To bytes. Without it and `threshold` the result is the int32 accumulator: only in the last layer.
    pad_value : numpy.ndarray, optional
        uint8 [in], the byte per channel that padded pixels have; only in the first layer. None means 0.
    threshold : Threshold, optional
        To bits.
    shared : SharedWeight, optional
        The same weights as a pruned, weight-shared stream: how a package keeps them.

    Raises
    ------
    NetworkError
        If anything breaks the arithmetic contract.

    Examples
    --------
    >>> layer = Conv2d("c", np.ones((4, 3, 3, 1), np.int8), np.zeros(4, np.int32), padding=(1, 1))
    >>> layer.output_shape((28, 28, 1))
    (28, 28, 4)
    """

    name: str
    weight: np.ndarray
    bias: np.ndarray
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    requantisation: Requantisation | None = None
    pad_value: np.ndarray | None = None
    threshold: Threshold | None = None
    shared: SharedWeight | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        weight = self._freeze("weight", INT8, (None, None, None, None))
        self._freeze("bias", INT32, (len(weight),))
        normalise_window(self, self.kernel)
        check_finish(self.name, self.requantisation, self.threshold, len(weight))
        if self.pad_value is not None:
            self._freeze("pad_value", UINT8, (weight.shape[3],))
        check_shared(self)
        check_accumulator(self.name, weight, self.bias)

    def output_type(self, given: DataType) -> DataType:
        """uint8, bit or int32 for an input of type `given`; `NetworkError` if that is not uint8."""
        check_type(self.name, (UINT8,), given)
        return finished_type(self.requantisation, self.threshold)
