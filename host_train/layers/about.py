"""Which layer an error is about, for those who know where that layer comes from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pynq_cnn.errors import NetworkError


@contextmanager
def about(layer: str) -> Iterator[None]:
    """Errors from within are about `layer`, but for those that know theirs.

    Examples
    --------
    >>> try:
    ...     with about("fc"):
    ...         raise NetworkError("its output is empty")
    ... except NetworkError as error:
    ...     print(error.layer)
    fc
    """
    try:
        yield
    except NetworkError as error:
        if error.layer is None:
            error.layer = layer
        raise
