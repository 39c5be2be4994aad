"""Convolution of bits with bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pynq_cnn.errors import NetworkError
from pynq_cnn.model.datatype import BIT, WORD, DataType
from pynq_cnn.model.description import integers
from pynq_cnn.model.layers.base import MAX_DIMENSION, check_name, check_type
from pynq_cnn.model.layers.finish import Threshold, check_finish, finished_type
from pynq_cnn.model.layers.weighted import Convolution
from pynq_cnn.model.layers.window import normalise_window


@dataclass(frozen=True, eq=False, repr=False)
class BinaryConv2d(Convolution):
    """Convolution of bits with bits: 1 stands for +1, 0 for -1 (docs/contract/numerics.md, section 6).

    A fully connected layer is one whose kernel is its whole input.

    Parameters
    ----------
    name : str
        Unique in its network.
    weight : numpy.ndarray
        uint64 [out, kernel_h, kernel_w, ceil(in / 64)], channels packed little-endian, bits past `channels` 0.
    channels : int
        Input channels.
    stride, padding : tuple of int
        (vertical, horizontal). Taps outside the image count nothing.
    threshold : Threshold, optional
        To bits. None only in the last layer, whose result is the int32 accumulator.

    Raises
    ------
    NetworkError
        If anything breaks the arithmetic contract.

    Examples
    --------
    >>> layer = BinaryConv2d.from_signs("b", np.ones((8, 3, 3, 70), np.int8), padding=(1, 1))
    >>> layer.weight.shape, layer.output_shape((5, 5, 70)), bool((layer.signs() == 1).all())
    ((8, 3, 3, 2), (5, 5, 8), True)
    """

    name: str
    weight: np.ndarray
    channels: int
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    threshold: Threshold | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        object.__setattr__(self, "channels", integers(f"{self.name}.channels", self.channels, 1, 1, MAX_DIMENSION)[0])
        weight = self._freeze("weight", WORD, (None, None, None, -(-self.channels // 64)))
        if self.channels % 64 and (weight[..., -1] >> np.uint64(self.channels % 64)).any():
            raise NetworkError(f"{self.name}.weight has bits past its {self.channels} channels; they must be 0")
        normalise_window(self, self.kernel)
        check_finish(self.name, None, self.threshold, len(weight))

    @classmethod
    def from_signs(cls, name: str, signs: np.ndarray, **options: Any) -> BinaryConv2d:
        """Pack signs, [out, kernel_h, kernel_w, in] of any real dtype: 1 where >= 0."""
        out, kernel_h, kernel_w, channels = signs.shape
        bits = np.zeros((out, kernel_h, kernel_w, -(-channels // 64) * 64), np.uint8)
        bits[..., :channels] = signs >= 0
        return cls(name, np.packbits(bits, axis=-1, bitorder="little").view("<u8"), channels, **options)

    def signs(self) -> np.ndarray:
        """The weights as int8 +1 and -1, [out, kernel_h, kernel_w, in]."""
        octets = np.ascontiguousarray(self.weight).view(np.uint8)
        bits = np.unpackbits(octets, axis=-1, bitorder="little")[..., : self.channels]
        return (bits.astype(np.int8) << 1) - 1

    def output_type(self, given: DataType) -> DataType:
        """bit or int32 for an input of type `given`; `NetworkError` if that is not bit."""
        check_type(self.name, (BIT,), given)
        return finished_type(None, self.threshold)

    @property
    def inputs(self) -> int:
        """Input channels: the weights are packed, so their shape does not tell."""
        return self.channels

    @property
    def weight_count(self) -> int:
        """How many weights it has: as many as it has bits."""
        return self.outputs * self.kernel[0] * self.kernel[1] * self.channels
