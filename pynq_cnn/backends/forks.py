"""Things that a forked child must not take over from its parent: locks held by threads that it does not have, and lock
files.

After a fork the child has a copy of every lock in the state it was in, but only the thread that forked: a lock that
another thread held would stay locked for ever, and an open lock file would keep the parent's lock alive when the parent
has ended.
"""

from __future__ import annotations

import os
import threading
import weakref
from functools import lru_cache
from typing import Protocol


class Renewable(Protocol):
    """Something that starts anew in a forked child."""

    def renew(self) -> None:
        """Called in the child, before anything else runs there."""


_renewables: weakref.WeakSet[Renewable] = weakref.WeakSet()
_lock_owners: weakref.WeakKeyDictionary[object, str] = weakref.WeakKeyDictionary()


def _renew_all() -> None:
    for owner, name in list(_lock_owners.items()):
        setattr(owner, name, threading.RLock())
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


def give_lock(owner: object, name: str) -> None:
    """Set the attribute `name` of `owner` to a re-entrant lock, and in every forked child to another that nobody holds.

    The attribute is the interpreter's own lock: `with` takes it without running any Python, so that no Ctrl-C comes
    between taking it and the block that gives it back.

    Examples
    --------
    >>> class Owner:
    ...     pass
    >>> owner = Owner()
    >>> give_lock(owner, "lock")
    >>> with owner.lock, owner.lock:
    ...     pass
    """
    _watch()
    setattr(owner, name, threading.RLock())
    _lock_owners[owner] = name
