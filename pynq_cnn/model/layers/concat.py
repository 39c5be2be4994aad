"""Concatenation of channels."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pynq_cnn.errors import NetworkError
from pynq_cnn.model.datatype import BIT, UINT8
from pynq_cnn.model.layers.base import check_given, check_layer
from pynq_cnn.model.layers.pooling import Weightless
from pynq_cnn.model.tensor import TensorType


@dataclass(frozen=True, eq=False, repr=False)
class Concat(Weightless):
    """The channels of several tensors side by side (docs/contract/numerics.md, section 8).

    The tensors have one height, width, data type and zero point; whoever makes the network gives bytes one step.

    Parameters
    ----------
    name : str
        Unique in its network.
    inputs : tuple of str
        The layers whose outputs it takes, two or more, in the order of the channels.

    Examples
    --------
    >>> from pynq_cnn.model.tensor import bytes_of
    >>> print(Concat("c", ("a", "b")).output(bytes_of((4, 4, 3)), bytes_of((4, 4, 5))))
    uint8 4 x 4 x 8
    """

    name: str
    inputs: tuple[str, ...]

    def __post_init__(self) -> None:
        check_layer(self)
        if len(self.inputs) < 2:
            raise NetworkError(f"{self.name}.inputs must name two layers or more, not {self.inputs}")

    def output(self, *given: TensorType) -> TensorType:
        """The tensor that it gives; `NetworkError` if its inputs differ in more than their channels."""
        check_given(self.name, given, len(self.inputs), UINT8, BIT)
        first, height, width = given[0], *given[0].shape[:2]
        for name, tensor in zip(self.inputs, given):
            if replace(tensor, shape=first.shape) != first or tensor.shape[:2] != (height, width):
                raise NetworkError(
                    f"{self.name} takes tensors that differ in their channels alone, but {self.inputs[0]} gives"
                    f" {first}, and {name} {tensor}",
                    self.name,
                )
        zero_point = first.zero_point if len(first.zero_point) == 1 else first.zero_point * len(given)
        return TensorType(first.datatype, (height, width, sum(tensor.shape[2] for tensor in given)), zero_point)
