"""What the frozen descriptions of a network share: comparison by value, read-only arrays, checked integers."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from pynq_cnn.errors import NetworkError
from pynq_cnn.model.datatype import DataType


def same(a: Any, b: Any) -> bool:
    """Equality of two descriptions of one type, arrays compared by dtype, shape and value."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    return bool(a == b)


class Description:
    """Base of the frozen dataclasses that hold arrays: compares them by value, freezes them."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(same(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))  # type: ignore[arg-type]

    __hash__ = None  # type: ignore[assignment]

    def _freeze(self, field: str, datatype: DataType | None, shape: tuple[int | None, ...], *, empty: bool = False) -> np.ndarray:
        """Check one array field and replace it by a read-only copy, so that a description cannot change after its checks."""
        array = getattr(self, field)
        where = f"{getattr(self, 'name', type(self).__name__)}.{field}"
        if not isinstance(array, np.ndarray):
            raise NetworkError(f"{where} must be a NumPy array, not {type(array).__name__}")
        if array.ndim != len(shape) or any(want is not None and have != want for have, want in zip(array.shape, shape)):
            wanted = " x ".join("any" if n is None else str(n) for n in shape)
            raise NetworkError(f"{where} must have the shape {wanted}, not {array.shape}")
        if 0 in array.shape and not empty:
            raise NetworkError(f"{where} is empty: {array.shape}")
        if datatype is not None and not datatype.allowed(array):
            span = f" from {array.min()} to {array.max()}" if array.dtype.kind in "iufb" else ""
            raise NetworkError(f"{where} must be {datatype.name}, not {array.dtype}{span}; quantise it again with host_train")
        frozen = np.ascontiguousarray(array).copy()
        frozen.flags.writeable = False
        object.__setattr__(self, field, frozen)
        return frozen


def integers(where: str, values: Any, count: int, low: int, high: int) -> tuple[int, ...]:
    """`values` as a tuple of `count` ints from `low` to `high`; `NetworkError` naming `where` if they are not."""
    values = tuple(values) if isinstance(values, (tuple, list)) else (values,)
    if len(values) != count or any(isinstance(v, bool) or not isinstance(v, (int, np.integer)) or not low <= v <= high for v in values):
        raise NetworkError(f"{where} must be {count} integer(s) from {low} to {high}, not {values!r}")
    return tuple(int(v) for v in values)
