"""From accumulators on: requantisation to bytes, a threshold to bits, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pynq_cnn.errors import NetworkError
from pynq_cnn.model.datatype import BIT, INT32, MULTIPLIER, SHIFT, UINT8
from pynq_cnn.model.description import Description, integers, short
from pynq_cnn.model.tensor import Shape, TensorType


@dataclass(frozen=True, eq=False, repr=False)
class Requantisation(Description):
    """Accumulator to byte, `clamp(((acc * m + (1 << (s-1))) >> s) + z, low, 255)` (docs/contract/numerics.md, section
    3): per channel, or one pair of constants for all.

    Parameters
    ----------
    multiplier : numpy.ndarray
        uint16 [out] or [1], m.
    shift : numpy.ndarray
        uint8, as many, s, 1 to 47.
    zero_point : int
        z, the byte that stands for real 0, 0 to 255.
    low : int
        The least byte: `zero_point` where a ReLU is meant, 0 where none is.

    Raises
    ------
    NetworkError
        For a wrong dtype, range or length.
    """

    multiplier: np.ndarray
    shift: np.ndarray
    zero_point: int = 0
    low: int = 0

    def __post_init__(self) -> None:
        multiplier = self._freeze("multiplier", MULTIPLIER, (None,))
        self._freeze("shift", SHIFT, (len(multiplier),))
        for field in ("zero_point", "low"):
            object.__setattr__(self, field, integers(field, getattr(self, field), 1, 0, 255)[0])


@dataclass(frozen=True, eq=False, repr=False)
class Threshold(Description):
    """Per output channel: accumulator to bit, `1 if acc >= value else 0` (docs/contract/numerics.md, section 6).

    Batch normalisation and the sign behind it, folded; channels of negative scale have their weights negated first.

    Parameters
    ----------
    value : numpy.ndarray
        int32 [out].

    Raises
    ------
    NetworkError
        For a wrong dtype or length.
    """

    value: np.ndarray

    def __post_init__(self) -> None:
        self._freeze("value", INT32, (None,))


def check_finish(name: str, requantisation: Any, threshold: Any, outputs: int) -> None:
    """See that what follows the accumulator has constants for every output channel, and is of one kind at most."""
    if requantisation is not None and threshold is not None:
        raise NetworkError(f"{name} has both a requantisation and a threshold; its output is bytes or bits")
    for field, kind, have in (("requantisation", Requantisation, requantisation), ("threshold", Threshold, threshold)):
        if have is None:
            continue
        if not isinstance(have, kind):
            raise NetworkError(f"{name}.{field} must be a {kind.__name__} or None, not {short(have)}")
        count = len(have.multiplier if isinstance(have, Requantisation) else have.value)
        if count != outputs and not (count == 1 and isinstance(have, Requantisation)):
            raise NetworkError(f"{name}.{field} must have {outputs} values, one per output channel, not {count}")


def finished(shape: Shape, requantisation: Requantisation | None, threshold: Threshold | None) -> TensorType:
    """The tensor that a layer gives: bytes, bits, or int32 where nothing follows the accumulator."""
    if requantisation is not None:
        return TensorType(UINT8, shape, (requantisation.zero_point,))
    return TensorType(INT32 if threshold is None else BIT, shape)
