"""Residual addition: a second tensor that the accumulator starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pynq_cnn.errors import NetworkError
from pynq_cnn.model.datatype import MULTIPLIER, UINT8
from pynq_cnn.model.description import Description, short
from pynq_cnn.model.layers.base import check_given
from pynq_cnn.model.tensor import Shape, TensorType


@dataclass(frozen=True, eq=False, repr=False)
class Skip(Description):
    """The accumulator starts from `bias[o] + k[o] * skip[y, x, o]` (docs/contract/numerics.md, section 2).

    The skip is the layer's last input, of the shape of its output. Its zero point is folded into the bias.

    Parameters
    ----------
    multiplier : numpy.ndarray
        uint16 [out], or [1] for all, k: the quotient of the skip's step and the accumulator's.

    Raises
    ------
    NetworkError
        For a wrong dtype or length.
    """

    multiplier: np.ndarray

    def __post_init__(self) -> None:
        self._freeze("multiplier", MULTIPLIER, (None,))


def check_skip(name: str, skip: Any, outputs: int) -> None:
    """See that a skip has one multiplier for all output channels, or one for each."""
    if skip is None:
        return
    if not isinstance(skip, Skip):
        raise NetworkError(f"{name}.skip must be a Skip or None, not {short(skip)}")
    if len(skip.multiplier) not in (1, outputs):
        raise NetworkError(
            f"{name}.skip must have {outputs} multipliers, one per output channel, or 1, not {len(skip.multiplier)}"
        )


def output_shape(layer: Any, given: tuple[TensorType, ...]) -> Shape:
    """Shape of the output of a layer that may have a skip; checks that a second tensor is there exactly where it has
    one, and has that shape.
    """
    check_given(layer.name, given, 1 if layer.skip is None else 2, UINT8)
    shape: Shape = layer.output_shape(given[0].shape)
    for skipped in given[1:]:
        if skipped.shape != shape:
            raise NetworkError(
                f"{layer.name} gives {shape}, but is to add {skipped.shape}; the two must be equal", layer.name
            )
    return shape
