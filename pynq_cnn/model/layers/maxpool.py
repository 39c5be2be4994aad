"""Max pooling of bytes or bits."""

from __future__ import annotations

from dataclasses import dataclass

from pynq_cnn.model.datatype import BIT, UINT8, DataType
from pynq_cnn.model.description import integers
from pynq_cnn.model.layers.base import Shape, check_name, check_type
from pynq_cnn.model.layers.pooling import Pooling
from pynq_cnn.model.layers.window import window_shape


@dataclass(frozen=True, eq=False, repr=False)
class MaxPool2d(Pooling):
    """Max pooling without padding, on bytes or on bits (docs/contract/numerics.md, sections 4 and 6).

    Parameters
    ----------
    name : str
        Unique in its network.
    size, stride : int
        Side and step of the square window.

    Examples
    --------
    >>> MaxPool2d("p", size=2, stride=2).output_shape((7, 7, 8))
    (3, 3, 8)
    """

    name: str
    size: int
    stride: int

    def __post_init__(self) -> None:
        check_name(self.name)
        for field in ("size", "stride"):
            object.__setattr__(self, field, integers(f"{self.name}.{field}", getattr(self, field), 1, 1, 255)[0])

    def output_type(self, given: DataType) -> DataType:
        """That of its input; `NetworkError` if that is neither uint8 nor bit."""
        check_type(self.name, (UINT8, BIT), given)
        return given

    def output_shape(self, shape: Shape) -> Shape:
        """Output (height, width, channels); `NetworkError` if the window is larger than the input."""
        return (*window_shape(self.name, shape, (self.size, self.size), (self.stride, self.stride)), shape[2])
