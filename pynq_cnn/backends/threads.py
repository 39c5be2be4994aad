"""The `threads=` of everything that may use several processors."""

from __future__ import annotations

import os
from typing import Any

from pynq_cnn.checks import integer

MOST = 1024


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MOST)
    return min(os.cpu_count() or 1, MOST)


def check_threads(threads: Any) -> int | None:
    """`threads` as an integer from 1, or None; `ArgumentError` for anything else."""
    return None if threads is None else integer("threads", threads, 1, MOST)
