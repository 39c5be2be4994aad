"""The reason that an error of a library, or of the user's code, gives, in one line."""

from __future__ import annotations


def reason_of(error: BaseException) -> str:
    """The first line of an error's message, or its kind where it has none.

    Examples
    --------
    >>> reason_of(RuntimeError("two\\nlines")), reason_of(ValueError())
    ('two', 'ValueError()')
    """
    return (str(error).strip() or repr(error)).splitlines()[0]
