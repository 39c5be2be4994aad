"""Max pooling of bytes or bits."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pynq_cnn.model.datatype import BIT, UINT8
from pynq_cnn.model.layers.base import check_given, check_layer
from pynq_cnn.model.layers.pooling import Pooling
from pynq_cnn.model.layers.window import Padding, Pair, normalise_padding, normalise_pair
from pynq_cnn.model.tensor import TensorType


@dataclass(frozen=True, eq=False, repr=False)
class MaxPool2d(Pooling):
    """Max pooling of bytes or of bits; what lies outside the image never wins (docs/contract/numerics.md, sections 4
    and 6).

    Parameters
    ----------
    name : str
        Unique in its network.
    size, stride : int or tuple of int
        Of the window, (vertical, horizontal) or one number for both, 1 to 255.
    padding : tuple of int
        (top, left, bottom, right), or (vertical, horizontal); each smaller than the window.
    inputs : tuple of str
        The layer whose output it takes; that before it if empty.

    Examples
    --------
    >>> MaxPool2d("p", size=2, stride=2).output_shape((7, 7, 8))
    (3, 3, 8)
    >>> MaxPool2d("p", 3, 2, padding=(0, 0, 1, 1)).output_shape((8, 8, 4))  # the windows that PyTorch's ceil_mode adds
    (4, 4, 4)
    """

    name: str
    size: Pair
    stride: Pair
    padding: Padding = (0, 0, 0, 0)
    inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_layer(self)
        normalise_pair(self, "size")
        normalise_pair(self, "stride")
        normalise_padding(self, self.size)

    def output(self, *given: TensorType) -> TensorType:
        """The tensor that it gives: the type of its input; `NetworkError` if it cannot take that."""
        check_given(self.name, given, 1, UINT8, BIT)
        return replace(given[0], shape=self.output_shape(given[0].shape))
