"""The `timeout=` of everything that may wait for an engine."""

from __future__ import annotations

import math
from typing import Any

from pynq_cnn.checks import shown
from pynq_cnn.errors import ArgumentError


def check_timeout(timeout: Any) -> float | None:
    """`timeout` as a number of seconds or None; `ArgumentError` for anything else."""
    if timeout is None:
        return None
    try:
        number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
        seconds = float(timeout) if number else math.nan
    except OverflowError:  # an integer that is larger than any float
        seconds = math.inf
    if not 0 < seconds < math.inf:
        raise ArgumentError(f"timeout must be a positive number of seconds, or None, not {shown(timeout)}")
    return seconds
