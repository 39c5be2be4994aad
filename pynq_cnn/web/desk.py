"""Classifiers of a server: opened when they are first asked for, one picture at a time on each, few in the queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeVar

from pynq_cnn.classifier import Classifier
from pynq_cnn.errors import ArgumentError, PynqCnnError
from pynq_cnn.model import Network

AT_ONCE = 6  # pictures in the server, those that wait for their turn and that are still being sent among them
KEPT = 3  # classifiers that are kept open
Result = TypeVar("Result")
Opener = Callable[[str | Network, str], AbstractContextManager[Classifier]]


class BusyError(PynqCnnError):
    """As many pictures as the server takes are waiting already."""


class Seat:
    """One classifier, and the queue before it."""

    def __init__(self, opener: Callable[[], AbstractContextManager[Classifier]]) -> None:
        self._opener = opener
        self._stack = ExitStack()
        self._classifier: Classifier | None = None
        self._turn = asyncio.Lock()
        self.users = 0

    def _work(self, function: Callable[[Classifier], Result]) -> Result:
        """In a thread, at one's turn: a classifier that could not be opened is tried again by the next."""
        if self._classifier is None:
            self._classifier = self._stack.enter_context(self._opener())
        return function(self._classifier)

    async def run(self, pool: ThreadPoolExecutor, function: Callable[[Classifier], Result]) -> Result:
        """`function` of the classifier, at one's turn."""
        self.users += 1
        try:
            async with self._turn:
                return await asyncio.get_running_loop().run_in_executor(pool, self._work, function)
        finally:
            self.users -= 1

    def close(self) -> None:
        """Give back what the classifier holds."""
        self._classifier = None
        self._stack.close()


class Desk:
    """The classifiers of a server.

    Parameters
    ----------
    models : mapping of str to str or Network
        The networks that may be asked for, by name: what `open_classifier` takes for each.
    backends : sequence of str
        The executions that may be asked for.
    open_classifier : callable
        Opens a network on an execution.
    """

    def __init__(self, models: Mapping[str, str | Network], backends: tuple[str, ...], open_classifier: Opener) -> None:
        self.models, self.backends = dict(models), backends
        self._open = open_classifier
        self._seats: dict[tuple[str, str], Seat] = {}
        self._pool = ThreadPoolExecutor(KEPT, thread_name_prefix="pynq-cnn-web")
        self._inside = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place in the queue; `BusyError` if there is none left."""
        if self._inside >= AT_ONCE:
            raise BusyError(f"{AT_ONCE} pictures are being worked on or wait already; try again in a moment")
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    def check(self, model: str, backend: str) -> None:
        """`ArgumentError` if nothing is called so: what is asked for is looked up, never opened as a path."""
        if model not in self.models:
            raise ArgumentError(f"model must be one of {', '.join(self.models)}, not {model!r:.100}")
        if backend not in self.backends:
            raise ArgumentError(f"backend must be one of {', '.join(self.backends)}, not {backend!r:.100}")

    async def run(self, model: str, backend: str, function: Callable[[Classifier], Result]) -> Result:
        """`function` of the classifier for `model` on `backend`, in a thread; no two at a time on one classifier.

        Raises
        ------
        ArgumentError
            If there is no such model or backend.
        PynqCnnError
            If the classifier cannot be opened, or by `function`.
        """
        self.check(model, backend)
        key = model, backend
        seat = self._seats.pop(key, None) or Seat(lambda: self._open(self.models[model], backend))
        self._seats[key] = seat  # the last is the one used last
        try:
            return await seat.run(self._pool, function)
        finally:
            await self._tidy()

    async def _tidy(self) -> None:
        """Close the classifiers that were used longest ago and are idle, until few are kept."""
        while len(self._seats) > KEPT:
            idle = next((key for key, seat in self._seats.items() if not seat.users), None)
            if idle is None:
                return
            await asyncio.get_running_loop().run_in_executor(self._pool, self._seats.pop(idle).close)

    def close(self) -> None:
        """Wait for the picture that is worked on, and close every classifier."""
        self._pool.shutdown(wait=True)
        while self._seats:
            self._seats.popitem()[1].close()
