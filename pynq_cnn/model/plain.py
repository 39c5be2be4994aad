"""Texts of people in a network: names, and metadata of JSON values.

Checked where they enter, so that they can be saved and shown.
"""

from __future__ import annotations

import math
import unicodedata
from typing import Any

import numpy as np

from pynq_cnn.errors import NetworkError
from pynq_cnn.model.description import short

MAX_NAME = 255  # characters of a network's or class's name
MAX_DEPTH = 32  # of lists and objects in each other
MAX_VALUES = 1 << 18
MAX_BITS = 1024  # of an integer: beyond, no JSON reader that takes numbers for doubles can hold it

# Control characters, halves of surrogate pairs, separators of lines and of paragraphs: they break tables, terminals
# or files.
UNFIT = ("Cc", "Cs", "Zl", "Zp")


def plain_name(where: str, name: Any) -> str:
    """`name`, if it can be shown in one line of a table; `NetworkError` naming `where` if not.

    Examples
    --------
    >>> plain_name("name", "grüner Apfel")
    'grüner Apfel'
    """
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME:
        raise NetworkError(f"{where} must be a text of 1 to {MAX_NAME} characters that is not blank, not {short(name)}")
    unfit = next((letter for letter in name if unicodedata.category(letter) in UNFIT), None)
    if unfit is not None:
        raise NetworkError(
            f"{where} {short(name)} holds {unfit!r}, a character that cannot be shown in a line; leave it out"
        )
    return str(name)


def plain_json(where: str, value: Any) -> Any:
    """A copy of `value` in JSON's own types: tuples become lists, NumPy's scalars Python's.

    `NetworkError` names the place of anything else.

    Examples
    --------
    >>> plain_json("metadata", {"accuracy": np.float64(0.5), "shape": (28, 28)})
    {'accuracy': 0.5, 'shape': [28, 28]}
    """
    left = MAX_VALUES

    def text(where: str, value: str) -> str:
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise NetworkError(f"{where} holds half of a surrogate pair, which is no text: {short(value)}") from None
        return str(value)

    def copy(where: str, value: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if depth > MAX_DEPTH or left < 0:
            raise NetworkError(
                f"{where:.200} goes deeper than {MAX_DEPTH} levels, or holds more than {MAX_VALUES} values"
            )
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return text(where, value)
        if isinstance(value, int) and value.bit_length() <= MAX_BITS:
            return int(value)
        if isinstance(value, float) and math.isfinite(value):
            return float(value)
        if isinstance(value, (list, tuple)):
            return [copy(f"{where}[{i}]", item, depth + 1) for i, item in enumerate(value)]
        if isinstance(value, dict):
            wrong = next((key for key in value if not isinstance(key, str)), None)
            if wrong is not None:
                raise NetworkError(f"{where} has the key {short(wrong)}; keys are texts")
            return {text(f"{where}'s key", key): copy(f"{where}.{key}", item, depth + 1) for key, item in value.items()}
        shown = (
            f"an integer of {value.bit_length()} bits"
            if isinstance(value, int)
            else f"{short(value)} ({type(value).__name__})"
        )
        raise NetworkError(
            f"{where} must be a JSON value (text, finite number, bool, None, list or dict of such), not {shown}"
        )

    return copy(where, value, 0)
