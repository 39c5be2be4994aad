"""An edge of a network: what one layer passes to another."""

from __future__ import annotations

from dataclasses import dataclass

from pynq_cnn.model.datatype import UINT8, DataType

Shape = tuple[int, int, int]  # of one image, height x width x channel (HWC)


@dataclass(frozen=True)
class TensorType:
    """Data type, shape and zero point of a tensor (docs/contract/numerics.md, section 1).

    Parameters
    ----------
    datatype : DataType
        UINT8, BIT or INT32.
    shape : tuple of int
        (height, width, channels) of one image.
    zero_point : tuple of int
        The byte that stands for real 0: one for all channels, or of a network's input one per channel. (0,) for bits
        and int32.

    Examples
    --------
    >>> TensorType(UINT8, (4, 4, 3), (128, 128, 128)).zero_point
    (128,)
    """

    datatype: DataType
    shape: Shape
    zero_point: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        if len(set(self.zero_point)) == 1:
            object.__setattr__(self, "zero_point", self.zero_point[:1])

    def __str__(self) -> str:
        zero = "" if self.zero_point == (0,) else f", zero point {', '.join(map(str, self.zero_point))}"
        return f"{self.datatype.name} {' x '.join(map(str, self.shape))}{zero}"


def bytes_of(shape: Shape, zero_point: int = 0) -> TensorType:
    """The type of bytes of a shape.

    Examples
    --------
    >>> print(bytes_of((28, 28, 1), 33))
    uint8 28 x 28 x 1, zero point 33
    """
    return TensorType(UINT8, shape, (zero_point,))
