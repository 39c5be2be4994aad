"""Checks of numbers that a caller gives."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from pynq_cnn.errors import ArgumentError


def is_integer(value: Any, low: int, high: int | None = None) -> bool:
    """Whether `value` is an integer, Python's or NumPy's, from `low` to `high`; True and False are none.

    Examples
    --------
    >>> is_integer(1, 1, 8), is_integer(9, 1, 8), is_integer(True, 1), is_integer(1.0, 1), is_integer("1", 1)
    (True, False, False, False, False)
    """
    return (
        isinstance(value, Integral)
        and not isinstance(value, bool)
        and low <= int(value)
        and (high is None or int(value) <= high)
    )


def shown(value: Any) -> str:
    """A value as a message shows it, at most 100 characters.

    Examples
    --------
    >>> shown("a"), shown(10**5000)
    ("'a'", 'one of thousands of digits')
    """
    try:
        return f"{value!r:.100}"
    except ValueError:  # Python does not print a number of thousands of digits
        return "one of thousands of digits"


def integer(name: str, value: Any, low: int, high: int | None = None) -> int:
    """An argument as an int.

    Parameters
    ----------
    name : str
        The caller's name for it.
    value : object
        The given value.
    low, high : int
        The least and, if there is one, the largest that it may be.

    Raises
    ------
    ArgumentError
        If it is no integer in this range.

    Examples
    --------
    >>> integer("batch", 64, 1, 65535)
    64
    >>> integer("k", -1, 0)
    Traceback (most recent call last):
    ...
    pynq_cnn.errors.ArgumentError: k must be an integer from 0, not -1
    """
    if not is_integer(value, low, high):
        raise ArgumentError(
            f"{name} must be an integer from {low}{'' if high is None else f' to {high}'}, not {shown(value)}"
        )
    return int(value)
