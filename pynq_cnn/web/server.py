"""The page's server, from the socket to Ctrl-C."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from pynq_cnn.errors import ArgumentError, BoardWarning, ImageWarning, PynqCnnError
from pynq_cnn.model import Network
from pynq_cnn.web.desk import Desk, Opener
from pynq_cnn.web.guard import Guard, is_loopback
from pynq_cnn.web.handlers import Model, Served, application

SMALL = 4096  # bytes of a request's body, and of what stands before it a few times that; pictures may have more
PATIENCE = 30.0  # seconds that a request may take to come, and that a connection may idle a few times of


def bind(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen at `host`.

    Raises
    ------
    ArgumentError
        If this machine has no such address, or this user may not have the port.
    PynqCnnError
        If another program has it.
    """
    try:
        return bind_sockets(port, host)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PynqCnnError(
                f"port {port} of {host} is in use, perhaps by another `pynq-cnn web`; stop that program, or give"
                " another port by --port (0: any that is free)"
            ) from error
        if error.errno == errno.EACCES:
            raise ArgumentError(f"--port {port} needs more rights than this user has; take one from 1024") from error
        raise ArgumentError(
            f"--host {host!r:.100} is no address of this machine ({error.strerror or error}); 127.0.0.1 is for this"
            " machine alone, 0.0.0.0 for every network that it is in"
        ) from error


@contextmanager
def _collected(notes: list[str]) -> Iterator[None]:
    """Put warnings about the board among `notes`; those about pictures go with their answers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImageWarning)
        warnings.simplefilter("always", BoardWarning)
        usual = warnings.showwarning

        def show(message: Any, category: Any, *rest: Any, **more: Any) -> None:
            if not issubclass(category, BoardWarning):
                usual(message, category, *rest, **more)
            elif str(message) not in notes:
                notes.append(str(message))

        warnings.showwarning = show
        yield


@contextmanager
def _stop_signals() -> Iterator[asyncio.Event]:
    """An event that Ctrl-C sets, and the signal TERM."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    # What is ignored stays so, as in a shell's background job.
    taken = [one for one in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(one) is not signal.SIG_IGN]
    for one in taken:
        loop.add_signal_handler(one, stopped.set)
    try:
        yield stopped
    finally:
        for one in taken:
            loop.remove_signal_handler(one)


async def serve(
    models: Mapping[str, str | Network],
    labels: Mapping[str, str],
    open_classifier: Opener,
    model: str,
    backend: str,
    host: str = "127.0.0.1",
    port: int = 8765,
) -> None:
    """Serve the page until Ctrl-C, or the signal TERM.

    Parameters
    ----------
    models : mapping of str to str or Network
        The networks to choose from, by name, and what `open_classifier` takes for each.
    labels : mapping of str to str
        The executions to choose from, and how the page calls them.
    open_classifier : callable
        Opens a network on an execution: a context manager that gives the `Classifier`.
    model, backend : str
        Those that the page begins with; they are opened at once.
    host, port
        Where to listen. Where others can reach it, whoever asks must know the token in the printed address.

    Raises
    ------
    ArgumentError, BackendError, CompileError, ModelPackageError
        If the first model cannot be opened on the first backend.
    PynqCnnError
        If the port is in use.
    """
    sockets = bind(host, port)
    number = sockets[0].getsockname()[1]
    local = all(is_loopback(one.getsockname()[0]) for one in sockets)
    guard = Guard.local(host) if local else Guard.open_to_all(host)
    desk = Desk(models, tuple(labels), open_classifier)
    served = Served(desk, guard, model, backend, dict(labels), cookie=f"pynq-cnn-{number}")
    server = HTTPServer(
        application(served),
        max_body_size=SMALL,
        max_header_size=4 * SMALL,
        body_timeout=PATIENCE,
        idle_connection_timeout=4 * PATIENCE,
    )
    try:
        with _collected(served.notes), _stop_signals() as stopped:
            facts = await desk.run(model, backend, Model.facts)
            server.add_sockets(sockets)
            _greet(facts, served, host, number)
            await stopped.wait()
            print("stopping", flush=True)
    finally:  # a second Ctrl-C does not wait for the picture that is worked on
        server.stop()
        for one in sockets:
            one.close()
        await server.close_all_connections()
        await asyncio.get_running_loop().run_in_executor(None, desk.close)


def _greet(facts: Mapping[str, Any], served: Served, host: str, port: int) -> None:
    """Say where the page is."""
    name = f"[{host}]" if ":" in host else host
    if host in ("", "0.0.0.0", "::"):
        name = socket.gethostname()
    token = f"?token={served.guard.token}" if served.guard.token else ""
    print(f"{facts['name']} on {facts['backend']}; open in a browser:\n\n  http://{name}:{port}/{token}\n")
    if token:
        print(
            "Where that name is not known, put this machine's address in its place. Whoever has the token can use it."
        )
    for note in served.notes:
        print(f"note: {note}")
    print("Ctrl-C stops it.", flush=True)
