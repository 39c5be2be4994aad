"""Common parts of the commands: options, tables, and all backends that can run."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from pynq_cnn.backends.overlay.library import INSTALL
from pynq_cnn.backends.select import BACKENDS
from pynq_cnn.classifier import Classifier
from pynq_cnn.errors import ArgumentError, BackendError, CompileError, DeviceError
from pynq_cnn.model import Network
from pynq_cnn.table import text_table

VIRTUAL = "overlay (virtual board)"
# By their names in options.
EXECUTIONS = {
    "reference": "reference",
    "cpu": "cpu",
    "kernel": "kernel",
    "overlay": "overlay",
    "virtual": VIRTUAL,
}
REFRESH = 0.5  # seconds


def add_model(parser: argparse.ArgumentParser) -> None:
    """`--model`."""
    parser.add_argument(
        "--model",
        default="lenet",
        metavar="NAME|FOLDER",
        help="a shipped network or the folder of a model package (lenet)",
    )


def add_backend(parser: argparse.ArgumentParser) -> None:
    """`--backend` and `--virtual`."""
    auto = "auto: the overlay where there is one, else the fastest on the CPU"
    parser.add_argument("--backend", default="auto", choices=BACKENDS, help=f"which execution ({auto})")
    parser.add_argument("--virtual", action="store_true", help=f"the overlay on an emulated PYNQ-Z2; needs {INSTALL}")


def add_json(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def add_batch(parser: argparse.ArgumentParser) -> None:
    """`--batch`."""
    parser.add_argument("--batch", type=int, default=64, metavar="N", help="images worked on at once (64)")


def add_timeout(parser: argparse.ArgumentParser) -> None:
    """`--timeout`."""
    default = "20 times what the network's cycles are estimated to take, at least 5"
    parser.add_argument(
        "--timeout", type=float, metavar="SECONDS", help=f"how long to wait for a batch on the accelerator ({default})"
    )


def check_virtual(backend: str) -> None:
    """`ArgumentError` if `--virtual` does not go with this `--backend`."""
    if backend not in ("auto", "overlay"):
        raise ArgumentError(f"--virtual is the overlay on an emulated board, it does not go with --backend {backend}")


@contextmanager
def open_classifier(
    model: str | Network, backend: str, virtual: bool, batch: int = 64, timeout: float | None = None
) -> Iterator[Classifier]:
    """The classifier that the options ask for."""
    if not virtual:
        with Classifier(model, backend, batch, timeout=timeout) as classifier:
            yield classifier
        return
    check_virtual(backend)
    from pynq_cnn.virtual_board import VirtualBoard

    with VirtualBoard() as board:
        place: dict[str, Any] = {"bitfile": board.bitfile, "device": board.device}
        with Classifier(model, "overlay", batch, timeout=timeout, **place) as classifier:
            yield classifier


@dataclass(frozen=True)
class Opened:
    """A backend that was opened to run here, or why it was not.

    Parameters
    ----------
    name : str
        The backend; the virtual board counts as one of its own.
    classifier : Classifier or None
        None if it cannot run.
    why_not : str
        Empty if it can.
    broken : bool
        It is there and should run, but its device failed.
    """

    name: str
    classifier: Classifier | None
    why_not: str = ""
    broken: bool = False


@contextmanager
def open_all(network: Network, batch: int = 64, timeout: float | None = None) -> Iterator[list[Opened]]:
    """Every backend on `network`, the virtual board included; the reference first."""
    with ExitStack() as stack:
        opened = []
        for name in EXECUTIONS.values():
            try:
                entered = open_classifier(
                    network, "overlay" if name == VIRTUAL else name, name == VIRTUAL, batch, timeout
                )
                with working(f"opening {name}"):
                    opened.append(Opened(name, stack.enter_context(entered)))
            except (BackendError, CompileError) as error:
                opened.append(Opened(name, None, str(error), broken=isinstance(error, DeviceError)))
        yield opened


def print_not_run(opened: Sequence[Opened]) -> None:
    """Which backends have not run, and why: to leave them out without a word would look like a machine that is well."""
    for one in opened:
        if one.classifier is None:
            print(f"\nnot run: {one.name}: {one.why_not}")


def print_json(value: Any) -> None:
    """One JSON document."""
    print(json.dumps(value, indent=2, allow_nan=False))


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table: first column to the left, numbers to the right."""
    print(text_table([head, *rows]))


@contextmanager
def working(what: str, expected: float | None = None) -> Iterator[None]:
    """Say what is going on for as long as the block takes, on stderr, where a person sees it; nothing of it is left
    behind.

    Parameters
    ----------
    what : str
        Such as `measuring kernel`.
    expected : float, optional
        Seconds that it should take.
    """
    if not sys.stderr.isatty():
        yield
        return
    done, start = threading.Event(), perf_counter()
    of = "" if expected is None else f" of about {expected:,.0f}"

    def show() -> None:
        shown = ""
        with suppress(OSError, ValueError):  # whoever watched has left
            while not done.wait(REFRESH if shown else 0):
                shown = f"{what} ... {perf_counter() - start:,.0f}{of} s"
                print(f"\r{shown}", end="", file=sys.stderr, flush=True)
            print(f"\r{' ' * len(shown)}\r", end="", file=sys.stderr, flush=True)

    watcher = threading.Thread(target=show, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
