"""What a forked child must not take over from its parent: locks that are held by threads it does not have, and lock files.

After a fork the child has a copy of every lock in the state it was in, but only the thread that forked: a lock that another thread
held would stay locked for ever, and an open lock file would keep the parent's lock alive when the parent has ended.
"""

from __future__ import annotations

import os
import threading
import weakref
from functools import lru_cache
from types import TracebackType
from typing import Protocol


class Renewable(Protocol):
    """Something that starts anew in a forked child."""

    def renew(self) -> None:
        """Called in the child, before anything else runs there."""


_renewables: weakref.WeakSet[Renewable] = weakref.WeakSet()


def _renew_all() -> None:
    for renewable in list(_renewables):
        renewable.renew()


@lru_cache(maxsize=1)
def _watch() -> None:
    if hasattr(os, "register_at_fork"):  # where there is no fork, there is nothing to do
        os.register_at_fork(after_in_child=_renew_all)


def renew_after_fork(renewable: Renewable) -> None:
    """Have `renewable.renew()` called in every child that is forked from now on, as long as somebody holds it."""
    _watch()
    _renewables.add(renewable)


class ThreadLock:
    """A re-entrant lock for threads, that nobody holds in a forked child.

    Examples
    --------
    >>> lock = ThreadLock()
    >>> with lock, lock:
    ...     pass
    """

    def __init__(self) -> None:
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """A lock that nobody holds."""
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lock.release()
