"""A soak: classifications on the virtual board with every fault mixed in, from several threads, while another process
tries to get in.

    python tests/soak.py --images 100000

Every result is compared with the reference's. A fault makes calls fail with a `DeviceError`, never with a wrong answer,
and the next good call works. It ends with an error at the first wrong answer, when nothing has been answered for a
minute, and when memory has grown.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import random
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import pynq
from virtual import small_images, small_network

from pynq_cnn.backends.overlay import OverlayBackend, accelerator
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import BoardWarning, DeviceError
from pynq_cnn.virtual_board import VirtualBoard
from pynq_cnn.virtual_board.registers import PlainRegisters

THREADS = 4
POOL = 64  # different images
BATCH = 4
MEAN_CALL = (1 + 3 * BATCH) / 2  # images; see `Soak.call`
ONE_IN = 50  # classifications with a fault
TIMEOUT = 0.1  # seconds for a batch, so that an engine that hangs costs little
SILENCE = 60.0  # seconds without an answer that count as a hang
GROWTH = 5 << 20  # bytes that the process may have grown by since it was warm
WARM = 0.2  # part of the images before memory is looked at

INTRUDER = """
import sys, time
from pynq_cnn.backends.overlay.process_lock import ProcessLock
from pynq_cnn.errors import DeviceError
tries = entered = 0
try:
    while True:
        try:
            with ProcessLock(sys.argv[1]):
                entered += 1
        except DeviceError:
            pass
        tries += 1
        print(tries, entered, flush=True)
        time.sleep(0.05)
except BrokenPipeError:
    pass
"""


@dataclass
class Tally:
    """Counts of what has happened so far."""

    images: int = 0
    calls: int = 0
    wrong: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    last_answer: float = field(default_factory=time.monotonic)


class Soak:
    """One run.

    Parameters
    ----------
    images : int
        Classifications to make.
    seed : int
        Of the faults and images.
    """

    def __init__(self, images: int, seed: int) -> None:
        self.wanted, self.seed = images, seed
        self.tally = Tally()
        self.counting, self.faulting = threading.Lock(), threading.Lock()
        self.networks = [small_network(i, classes) for i, classes in enumerate((5, 20))]
        self.images = small_images(POOL)
        self.expected = [ReferenceBackend(network).run(self.images) for network in self.networks]
        self.resident: list[int] = []

    def run(self, progress: bool = False) -> Tally:
        """All of it; `AssertionError` for whatever must not happen."""
        patience = mock.patch.object(accelerator, "ANSWER_SECONDS", TIMEOUT)
        with VirtualBoard(contiguous_bytes=16 << 20) as board, warnings.catch_warnings(), patience:
            warnings.simplefilter("ignore", BoardWarning)
            self.users = pynq.Overlay(board.bitfile, device=board.device)
            with (
                self.open(board, 0) as owner,
                self.intruder(board) as tries,
            ):  # `owner` keeps the accelerator this process's
                workers = [threading.Thread(target=self.work, args=(board, i), daemon=True) for i in range(THREADS)]
                for worker in workers:
                    worker.start()
                while any(worker.is_alive() for worker in workers):
                    time.sleep(0.1)
                    self.watch(progress)
                self.settle(board, owner)
                assert tries() > 0
            gc.collect()
            assert board.memory.used == 0, f"{board.memory.used} bytes of contiguous memory leak"
        assert not self.tally.wrong, self.tally.wrong[0]
        self.weigh()
        return self.tally

    def open(self, board: VirtualBoard, which: int) -> OverlayBackend:
        return OverlayBackend(self.networks[which], BATCH, board.bitfile, board.device, TIMEOUT)

    @contextmanager
    def intruder(self, board: VirtualBoard) -> Iterator[Callable[[], int]]:
        """Another process that tries to get the accelerator; gives a function that says how often, and fails if it ever
        got in.
        """
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", INTRUDER, board.device.tag]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            lines: list[str] = []
            assert process.stdout is not None
            reader = threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True)  # type: ignore[arg-type]
            reader.start()

            def tries() -> int:
                deadline = time.monotonic() + SILENCE
                while not lines and time.monotonic() < deadline:
                    time.sleep(0.05)
                assert lines, "the other process has not started"
                done, entered = map(int, lines[-1].split())
                assert entered == 0, "another process got the accelerator while this one had it"
                return done

            try:
                yield tries
            finally:
                process.kill()

    def work(self, board: VirtualBoard, number: int) -> None:
        """One thread: calls until enough images are classified."""
        rng = random.Random(self.seed * THREADS + number)
        which = number % 2
        backend = self.reopen(board, which)
        try:
            while self.tally.images < self.wanted and not self.tally.wrong:
                if rng.random() * ONE_IN > MEAN_CALL:
                    self.call(backend, which, rng)
                    continue
                with self.faulting:  # one fault at a time; the other threads meet it as well
                    fault = rng.choice(FAULTS)
                    with self.counting:
                        self.tally.faults[fault.__name__] += 1
                    with suppress(KeyboardInterrupt), fault(self, board, backend):
                        self.call(backend, which, rng)
                if fault is memory_runs_out:
                    backend.close()
                    backend = self.reopen(board, which)
        except BaseException as error:  # noqa: BLE001  # tell the main thread
            with self.counting:
                self.tally.wrong.append(f"thread {number}: {type(error).__name__}: {error}")
        finally:
            backend.close()

    def reopen(self, board: VirtualBoard, which: int) -> OverlayBackend:
        while True:
            try:
                return self.open(board, which)
            except DeviceError as error:
                self.note(error)

    def call(self, backend: OverlayBackend, which: int, rng: random.Random) -> None:
        """One call of up to three batches, compared with the reference."""
        chosen = np.array(rng.choices(range(POOL), k=rng.randint(1, 3 * BATCH)))
        try:
            results = backend.run(self.images[chosen])
        except DeviceError as error:
            self.note(error)
            return
        right = np.array_equal(results, self.expected[which][chosen])
        with self.counting:
            self.tally.images += len(chosen)
            self.tally.calls += 1
            self.tally.last_answer = time.monotonic()
            if not right:
                self.tally.wrong.append(f"wrong answer for images {chosen.tolist()} of network {which}")

    def note(self, error: DeviceError) -> None:
        with self.counting:
            self.tally.errors[str(error).partition(" (")[0][:60]] += 1

    def settle(self, board: VirtualBoard, owner: OverlayBackend) -> None:
        """After all that, a call works."""
        for _ in range(5):
            try:
                np.testing.assert_array_equal(owner.run(self.images), self.expected[0])
                return
            except DeviceError as error:
                self.note(error)
        raise AssertionError("the board does not work any more")

    def watch(self, progress: bool) -> None:
        silent = time.monotonic() - self.tally.last_answer
        assert silent < SILENCE, f"no answer for {silent:.0f} s: a hang"
        if self.tally.images >= WARM * self.wanted:
            self.resident.append(resident_bytes())
        if progress:
            print(
                f"\r{self.tally.images:,} of {self.wanted:,} images, {sum(self.tally.faults.values()):,} faults ",
                end="",
                file=sys.stderr,
            )

    def weigh(self) -> None:
        """The process has not grown: the last readings against the first ones since it was warm."""
        if len(self.resident) < 20:
            return
        tenth = max(1, len(self.resident) // 10)
        grown = int(np.median(self.resident[-tenth:]) - np.median(self.resident[:tenth]))
        self.grown = grown
        assert grown <= GROWTH, f"the process has grown by {grown / 2**20:.1f} MiB"


def resident_bytes() -> int:
    """Memory of this process, as Linux counts it."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# Faults: each a context in which a call is made.


@contextmanager
def engine_hangs(soak: Soak, board: VirtualBoard, backend: OverlayBackend) -> Iterator[None]:
    board.faults.never_done = True
    try:
        yield
    finally:
        board.faults.never_done = False


@contextmanager
def bus_error(soak: Soak, board: VirtualBoard, backend: OverlayBackend) -> Iterator[None]:
    board.faults.bus_error = True
    try:
        yield
    finally:
        board.faults.bus_error = False


@contextmanager
def memory_runs_out(soak: Soak, board: VirtualBoard, backend: OverlayBackend) -> Iterator[None]:
    board.faults.no_memory = True
    try:
        with suppress_device_errors(soak):
            soak.open(board, 0).close()
        yield
    finally:
        board.faults.no_memory = False


@contextmanager
def loading_fails(soak: Soak, board: VirtualBoard, backend: OverlayBackend) -> Iterator[None]:
    board.device.loaded_past_pynq([])
    board.faults.no_download = True
    try:
        yield
    finally:
        board.faults.no_download = False


@contextmanager
def another_engine(soak: Soak, board: VirtualBoard, backend: OverlayBackend) -> Iterator[None]:
    board.device.loaded_past_pynq([])
    board.faults.identity = {"isa_version": 99}
    try:
        yield
    finally:
        board.faults.identity = {}


@contextmanager
def another_program_loads(soak: Soak, board: VirtualBoard, backend: OverlayBackend) -> Iterator[None]:
    board.device.loaded_past_pynq([(0x7000_0000, 0x10000, PlainRegisters())])
    yield


@contextmanager
def users_overlay(soak: Soak, board: VirtualBoard, backend: OverlayBackend) -> Iterator[None]:
    soak.users.download()  # one object for all: what pynq takes to parse hand-offs is not what is weighed here
    yield


@contextmanager
def port_turns_narrow(soak: Soak, board: VirtualBoard, backend: OverlayBackend) -> Iterator[None]:
    pynq.MMIO(0xF800_8000, 0x20, device=board.device).write(0, 1)
    yield


@contextmanager
def registers_are_changed(soak: Soak, board: VirtualBoard, backend: OverlayBackend) -> Iterator[None]:
    with backend._accelerator.lock, suppress(OSError):
        backend._accelerator._driver.set_register("sections", 0)
    yield


@contextmanager
def program_is_damaged(soak: Soak, board: VirtualBoard, backend: OverlayBackend) -> Iterator[None]:
    with backend._accelerator.lock:
        board.memory.device(backend._buffer.device_address + 64, 1)[:] = 0xEE  # the opcode of the second instruction
    yield


@contextmanager
def interruption(soak: Soak, board: VirtualBoard, backend: OverlayBackend) -> Iterator[None]:
    """Ctrl-C, at any point of the call."""
    thread, over, guard = threading.get_ident(), threading.Event(), threading.Lock()

    def strike() -> None:
        time.sleep(random.random() * 3e-3)
        with guard:
            if not over.is_set():
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(KeyboardInterrupt))

    striking = threading.Thread(target=strike)
    try:
        striking.start()
        yield
    finally:
        with guard:
            over.set()
        for _ in range(1000):  # what is under way arrives here
            pass
        striking.join()


@contextmanager
def collected(soak: Soak, board: VirtualBoard, backend: OverlayBackend) -> Iterator[None]:
    """A backend that nobody closes, collected while others run."""
    with suppress_device_errors(soak):
        other = soak.open(board, 1)
        soak.call(other, 1, random.Random(0))
        del other
    yield


@contextmanager
def suppress_device_errors(soak: Soak) -> Iterator[None]:
    try:
        yield
    except DeviceError as error:
        soak.note(error)


FAULTS = (
    engine_hangs,
    bus_error,
    memory_runs_out,
    loading_fails,
    another_engine,
    another_program_loads,
    users_overlay,
    port_turns_narrow,
    registers_are_changed,
    program_is_damaged,
    interruption,
    collected,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000, help="classifications to make (100000)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    start = time.monotonic()
    soak = Soak(args.images, args.seed)
    tally = soak.run(progress=sys.stderr.isatty())
    print(
        f"{tally.images:,} images in {tally.calls:,} calls, {time.monotonic() - start:.0f} s: no wrong answer, no hang"
    )
    print(
        f"{sum(tally.faults.values()):,} faults:",
        ", ".join(f"{name} {count}" for name, count in sorted(tally.faults.items())),
    )
    print(f"{sum(tally.errors.values()):,} calls failed:")
    for text, count in tally.errors.most_common():
        print(f"  {count:>6,}  {text}")
    print(f"memory: {getattr(soak, 'grown', 0) / 2**20:+.2f} MiB since it was warm")


if __name__ == "__main__":
    main()
