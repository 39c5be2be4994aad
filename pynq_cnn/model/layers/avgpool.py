"""Average pooling of bytes."""

from __future__ import annotations

from dataclasses import dataclass

from pynq_cnn.errors import NetworkError
from pynq_cnn.model.datatype import UINT8, DataType
from pynq_cnn.model.description import integers, short
from pynq_cnn.model.layers.base import Shape, check_name, check_type
from pynq_cnn.model.layers.finish import Requantisation, check_finish, finished_type
from pynq_cnn.model.layers.pooling import Pooling
from pynq_cnn.model.layers.window import window_shape


@dataclass(frozen=True, eq=False, repr=False)
class AvgPool2d(Pooling):
    """Sum over windows of bytes, without padding; the division is in what follows the sum (docs/contract/numerics.md,
    section 7).

    Parameters
    ----------
    name : str
        Unique in its network.
    size, stride : tuple of int
        (vertical, horizontal). Global average pooling has its whole input as the window.
    requantisation : Requantisation, optional
        To bytes, per channel or one pair of constants for all. None only in the last layer, whose result is the int32
        sum.

    Examples
    --------
    >>> AvgPool2d("gap", size=(5, 5), stride=(1, 1)).output_shape((5, 5, 10))
    (1, 1, 10)
    """

    name: str
    size: tuple[int, int]
    stride: tuple[int, int]
    requantisation: Requantisation | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        for field in ("size", "stride"):
            object.__setattr__(self, field, integers(f"{self.name}.{field}", getattr(self, field), 2, 1, 255))
        if self.requantisation is not None and not isinstance(self.requantisation, Requantisation):
            raise NetworkError(
                f"{self.name}.requantisation must be a Requantisation or None, not {short(self.requantisation)}"
            )

    def output_type(self, given: DataType) -> DataType:
        """uint8, or int32 without requantisation; `NetworkError` if its input is not uint8."""
        check_type(self.name, (UINT8,), given)
        return finished_type(self.requantisation, None)

    def output_shape(self, shape: Shape) -> Shape:
        """Output (height, width, channels); `NetworkError` if the window is larger than the input."""
        check_finish(self.name, self.requantisation, None, shape[2])
        return (*window_shape(self.name, shape, self.size, self.stride), shape[2])
