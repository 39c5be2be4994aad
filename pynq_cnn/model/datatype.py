"""Integer data types that say which values they allow (docs/contract/numerics.md, sections 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class DataType:
    """An integer type with its allowed range, which may be narrower than its storage.

    Parameters
    ----------
    name : str
        How it is written in messages.
    storage : str
        NumPy dtype that holds it.
    min, max : int
        Smallest and largest allowed value.

    Examples
    --------
    >>> INT8.allowed(np.array([-127, 127], np.int8)), INT8.allowed(np.array([-128], np.int8))
    (True, False)
    """

    name: str
    storage: str
    min: int
    max: int

    def allowed(self, values: np.ndarray) -> bool:
        """Whether `values` (any shape) are stored as this type and all in range."""
        return values.dtype == np.dtype(self.storage) and (
            values.size == 0 or bool(values.min() >= self.min and values.max() <= self.max)
        )


UINT8 = DataType("uint8", "uint8", 0, 255)
BIT = DataType("bit", "uint8", 0, 1)
INT8 = DataType("int8 in [-127, 127]", "int8", -127, 127)
INT32 = DataType("int32", "int32", -(2**31), 2**31 - 1)
MULTIPLIER = DataType("uint16", "uint16", 0, 65535)
WORD = DataType("uint64", "uint64", 0, 2**64 - 1)  # 64 packed bits
SHIFT = DataType("uint8 in [1, 47]", "uint8", 1, 47)
