"""From accumulators on: requantisation to bytes, a threshold to bits, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pynq_cnn.errors import NetworkError
from pynq_cnn.model.datatype import BIT, INT32, MULTIPLIER, SHIFT, UINT8, DataType
from pynq_cnn.model.description import Description, short


@dataclass(frozen=True, eq=False, repr=False)
class Requantisation(Description):
    """Accumulator to byte, `clamp((acc * m + (1 << (s-1))) >> s, 0, 255)` (docs/contract/numerics.md, section 3): per
    channel, or one for all.

    Parameters
    ----------
    multiplier : numpy.ndarray
        uint16 [out] or [1], m.
    shift : numpy.ndarray
        uint8, as many, s, 1 to 47.

    Raises
    ------
    NetworkError
        For a wrong dtype, range or length.
    """

    multiplier: np.ndarray
    shift: np.ndarray

    def __post_init__(self) -> None:
        multiplier = self._freeze("multiplier", MULTIPLIER, (None,))
        self._freeze("shift", SHIFT, (len(multiplier),))


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


def finished_type(requantisation: Requantisation | None, threshold: Threshold | None) -> DataType:
    """Data type of a layer's output: bytes, bits, or int32 where nothing follows the accumulator."""
    return UINT8 if requantisation is not None else BIT if threshold is not None else INT32
