"""Average pooling of bytes."""

from __future__ import annotations

from dataclasses import dataclass

from pynq_cnn.errors import NetworkError
from pynq_cnn.model.datatype import UINT8
from pynq_cnn.model.description import integers, short
from pynq_cnn.model.layers.base import check_given, check_layer
from pynq_cnn.model.layers.finish import Requantisation, check_finish, finished
from pynq_cnn.model.layers.pooling import Pooling
from pynq_cnn.model.layers.window import Padding, Pair, normalise_padding, normalise_pair
from pynq_cnn.model.tensor import TensorType

MAX_BIAS = 1 << 24  # 255 * 255 * 255 and a zero point: no window needs more


@dataclass(frozen=True, eq=False, repr=False)
class AvgPool2d(Pooling):
    """Sum over windows of bytes; the division is in what follows the sum (docs/contract/numerics.md, section 7).

    Parameters
    ----------
    name : str
        Unique in its network.
    size, stride : int or tuple of int
        Of the window, (vertical, horizontal) or one number for both, 1 to 255. Global average pooling has its whole
        input as the window.
    requantisation : Requantisation, optional
        To bytes, per channel or one pair of constants for all. None only in the last layer, whose result is the int32
        sum.
    bias : int
        Added to every sum: the input's zero point, times the window's area, is folded into it. At most 2^24 either way.
    padding : tuple of int
        (top, left, bottom, right), or (vertical, horizontal); each smaller than the window. Padded pixels have the
        input's zero point, and count in the average.
    inputs : tuple of str
        The layer whose output it takes; that before it if empty.

    Examples
    --------
    >>> AvgPool2d("gap", size=5, stride=1).output_shape((5, 5, 10))
    (1, 1, 10)
    """

    name: str
    size: Pair
    stride: Pair
    requantisation: Requantisation | None = None
    bias: int = 0
    padding: Padding = (0, 0, 0, 0)
    inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_layer(self)
        normalise_pair(self, "size")
        normalise_pair(self, "stride")
        normalise_padding(self, self.size)
        object.__setattr__(self, "bias", integers(f"{self.name}.bias", self.bias, 1, -MAX_BIAS, MAX_BIAS)[0])
        if self.requantisation is not None and not isinstance(self.requantisation, Requantisation):
            raise NetworkError(
                f"{self.name}.requantisation must be a Requantisation or None, not {short(self.requantisation)}"
            )

    def output(self, *given: TensorType) -> TensorType:
        """The tensor that it gives, int32 without requantisation; `NetworkError` if it cannot take its input."""
        check_given(self.name, given, 1, UINT8)
        shape = self.output_shape(given[0].shape)
        check_finish(self.name, self.requantisation, None, shape[2])
        return finished(shape, self.requantisation, None)
