"""Convolution of bits with bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pynq_cnn.errors import NetworkError
from pynq_cnn.model.datatype import BIT, WORD
from pynq_cnn.model.description import integers
from pynq_cnn.model.layers.base import MAX_DIMENSION, check_given, check_layer
from pynq_cnn.model.layers.finish import Threshold, check_finish, finished
from pynq_cnn.model.layers.weighted import Convolution
from pynq_cnn.model.layers.window import Padding, Pair, normalise_padding, normalise_pair
from pynq_cnn.model.tensor import TensorType


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
    stride : int or tuple of int
        (vertical, horizontal) or one number for both, 1 to 255.
    padding : tuple of int
        (top, left, bottom, right), or (vertical, horizontal); each smaller than the kernel. Taps outside the image
        count nothing.
    threshold : Threshold, optional
        To bits. None only in the last layer, whose result is the int32 accumulator.
    inputs : tuple of str
        The layer whose output it takes; that before it if empty.

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
    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    threshold: Threshold | None = None
    inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_layer(self)
        object.__setattr__(self, "channels", integers(f"{self.name}.channels", self.channels, 1, 1, MAX_DIMENSION)[0])
        weight = self._freeze("weight", WORD, (None, None, None, -(-self.channels // 64)))
        if self.channels % 64 and (weight[..., -1] >> np.uint64(self.channels % 64)).any():
            raise NetworkError(f"{self.name}.weight has bits past its {self.channels} channels; they must be 0")
        normalise_pair(self, "stride")
        normalise_padding(self, self.kernel)
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

    def output(self, *given: TensorType) -> TensorType:
        """The tensor that it gives: bits or int32; `NetworkError` if it cannot take its input."""
        check_given(self.name, given, 1, BIT)
        return finished(self.output_shape(given[0].shape), None, self.threshold)

    @property
    def in_channels(self) -> int:
        """Input channels: the weights are packed, so their shape does not tell."""
        return self.channels

    @property
    def weight_count(self) -> int:
        """How many weights it has: as many as it has bits."""
        return self.outputs * self.kernel[0] * self.kernel[1] * self.channels
