"""The `timeout=` of everything that may wait for an engine."""

from __future__ import annotations

import math
from typing import Any

from pynq_cnn.errors import ArgumentError


def check_timeout(timeout: Any) -> float | None:
    """`timeout` as a number of seconds or None; `ArgumentError` for anything else."""
    if timeout is None:
        return None
    number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if not number or not math.isfinite(timeout) or timeout <= 0:
        raise ArgumentError(f"timeout must be a positive number of seconds, or None, not {timeout!r}")
    return float(timeout)
