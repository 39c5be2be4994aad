"""Base of the frozen descriptions of a network: comparison by value, read-only arrays, checked integers."""

from __future__ import annotations

import reprlib
from dataclasses import MISSING, fields
from typing import Any

import numpy as np

from pynq_cnn.checks import is_integer
from pynq_cnn.errors import NetworkError
from pynq_cnn.model.datatype import DataType


def same(a: Any, b: Any) -> bool:
    """Equality of two descriptions of one type, arrays compared by dtype, shape and value."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    return bool(a == b)


REPR = reprlib.Repr()
REPR.maxstring = REPR.maxother = 80


def is_frozen(array: np.ndarray) -> bool:
    """Whether an array lies in memory that is read-only for all who have it.

    That is its own, another frozen array's, or that of `bytes`.

    Examples
    --------
    >>> array = np.zeros(3)
    >>> view = array[:]
    >>> view.flags.writeable = array.flags.writeable = False
    >>> is_frozen(np.zeros(3)), is_frozen(array), is_frozen(view), is_frozen(np.frombuffer(b"abc", np.uint8))
    (False, True, True, True)
    """
    owner: Any = array
    while isinstance(owner, np.ndarray):
        if owner.flags.writeable:
            return False
        if owner.base is None:
            return True
        owner = owner.base
    return isinstance(owner, bytes)


def freeze(array: np.ndarray) -> np.ndarray:
    """`array` itself if it is frozen, contiguous and aligned, else such a copy."""
    if type(array) is np.ndarray and array.flags.c_contiguous and array.flags.aligned and is_frozen(array):
        return array
    frozen = np.array(array, order="C")
    frozen.flags.writeable = False
    return frozen


def short(value: Any) -> str:
    """How a field is shown: arrays by type and shape, other values as they print, long ones shortened.

    Examples
    --------
    >>> short(np.zeros((2, 3), np.int8)), short((1, 2)), short(list(range(100))), short(10**5000)
    ('int8[2, 3]', '(1, 2)', '[0, 1, 2, 3, 4, 5, ...]', 'a int')
    """
    if isinstance(value, np.ndarray):
        return f"{value.dtype}[{', '.join(map(str, value.shape))}]"
    if isinstance(value, Description):
        return repr(value)
    try:
        text = REPR.repr(value)
        return text if len(text) <= 120 else f"{text[:117]}..."
    except Exception:  # a number of thousands of digits; and a message about a wrong value must not fail with it
        return f"a {type(value).__name__}"


def short_repr(instance: Any) -> str:
    """The `repr` of a dataclass, every field by `short`; those that have their defaults are left out."""
    shown = []
    for field in fields(instance):
        value = getattr(instance, field.name)
        if not (value is None or (field.default is not MISSING and same(value, field.default))):
            shown.append(f"{field.name}={short(value)}")
    return f"{type(instance).__name__}({', '.join(shown)})"


class Description:
    """Base of the frozen dataclasses that hold arrays: compares them by value, freezes them, shows them short.

    Copies and pickles are made by the constructor, so they are checked and frozen as well.
    """

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(same(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))  # type: ignore[arg-type]

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, f.name) for f in fields(self))  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return short_repr(self)

    def _freeze(
        self, field: str, datatype: DataType | None, shape: tuple[int | None, ...], *, empty: bool = False
    ) -> np.ndarray:
        """Check one array field and freeze it, so that a description cannot change after its checks."""
        array = getattr(self, field)
        where = f"{getattr(self, 'name', type(self).__name__)}.{field}"
        if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):  # a mask would be lost
            raise NetworkError(f"{where} must be a NumPy array, not {type(array).__name__}")
        if array.ndim != len(shape) or any(want is not None and have != want for have, want in zip(array.shape, shape)):
            wanted = " x ".join("any" if n is None else str(n) for n in shape)
            raise NetworkError(f"{where} must have the shape {wanted}, not {array.shape}")
        if 0 in array.shape and not empty:
            raise NetworkError(f"{where} is empty: {array.shape}")
        if datatype is not None and not datatype.allowed(array):
            span = f" from {array.min()} to {array.max()}" if array.dtype.kind in "iufb" else ""
            raise NetworkError(
                f"{where} must be {datatype.name}, not {array.dtype}{span}; quantise it again with host_train"
            )
        frozen = freeze(array)
        object.__setattr__(self, field, frozen)
        return frozen


def integers(where: str, values: Any, count: int, low: int, high: int) -> tuple[int, ...]:
    """`values` as a tuple of `count` ints from `low` to `high`; `NetworkError` naming `where` if they are not."""
    values = tuple(values) if isinstance(values, (tuple, list)) else (values,)
    if len(values) != count or not all(is_integer(v, low, high) for v in values):
        raise NetworkError(f"{where} must be {count} integer(s) from {low} to {high}, not {short(values)}")
    return tuple(int(v) for v in values)
