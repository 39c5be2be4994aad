"""A board that is shared: with other overlays, other programs, forked children, interruptions and event loops."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from virtual import NO_PYNQ, script, small_images, small_network

from pynq_cnn.backends import host, select
from pynq_cnn.backends.forks import give_lock
from pynq_cnn.backends.overlay import OverlayBackend, process_lock
from pynq_cnn.backends.overlay.process_lock import ProcessLock, lock_folder, owner_of
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import ArgumentError, BackendError, BoardWarning, DeviceError
from pynq_cnn.model import Conv2d, InputSpec, Network, OutputSpec, Requantisation
from pynq_cnn.virtual_board import VirtualBoard
from pynq_cnn.virtual_board.registers import InterruptController, PlainRegisters

pynq = pytest.importorskip("pynq", reason=NO_PYNQ)

NETWORK = small_network()


def open_backend(board: VirtualBoard, batch: int = 4, timeout: float | None = None) -> OverlayBackend:
    return OverlayBackend(NETWORK, batch, bitfile=board.bitfile, device=board.device, timeout=timeout)


def check(backend: OverlayBackend, n: int = 6, seed: int = 0) -> None:
    """It gives what the reference gives."""
    images = small_images(n, seed)
    np.testing.assert_array_equal(backend.run(images), ReferenceBackend(backend.network).run(images))


class Codec(PlainRegisters):
    """Some other design's IP: writing to it would do something."""

    writes = 0

    def write(self, offset: int, value: int) -> None:
        self.writes += 1
        super().write(offset, value)


# Other overlays.


@pytest.mark.parametrize("at", [0x7000_0000, 0x43C0_0000])
def test_a_design_that_another_program_loaded_is_not_written_to(board: VirtualBoard, at: int) -> None:
    """The engine's address may have another IP then, or nothing."""
    with open_backend(board) as backend:
        check(backend)
        codec = Codec()
        board.device.loaded_past_pynq([(at, 0x10000, codec)])
        with pytest.warns(BoardWarning, match="replaces another program's design.*pynq.Overlay"):
            check(backend)
        assert codec.writes == 0 and board.device.downloads == 2


def test_the_users_own_overlay_is_replaced_with_a_warning(board: VirtualBoard, tmp_path: Path) -> None:
    bitfile = tmp_path / "mine.bit"
    bitfile.write_bytes(b"mine")
    bitfile.with_suffix(".hwh").write_bytes(Path(board.bitfile).with_suffix(".hwh").read_bytes())
    pynq.Overlay(str(bitfile), device=board.device)
    with pytest.warns(BoardWarning, match=r"pynq_cnn.bit replaces mine.bit.*release.*pynq.Overlay\('.*mine.bit'\)"):
        backend = open_backend(board)
    with backend:
        check(backend)
        pynq.Overlay(str(bitfile), device=board.device)
        with pytest.warns(BoardWarning, match="replaces mine.bit"):
            check(backend)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check(backend)
    assert board.device.downloads == 4


def test_the_engine_is_off_the_base_overlays_addresses() -> None:
    """boards/Pynq-Z2/base of pynq: IP from 0x40000000 to 0x4600FFFF, and from 0x80420000 on."""
    first = script("overlays/make_hwh.py").BASE
    assert 0x4601_0000 <= first < 0x8000_0000, "in M_AXI_GP0, and not where the base overlay has anything"


def test_made_again_it_is_not_loaded_again(board: VirtualBoard) -> None:
    for _ in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with open_backend(board) as backend:
                check(backend)
    assert board.device.downloads == 1


@pytest.mark.once
@pytest.mark.parametrize("between", ["another overlay", "another program", "another file", "busy"])
def test_made_again_on_anything_else_it_is_loaded(board: VirtualBoard, tmp_path: Path, between: str) -> None:
    with open_backend(board, timeout=0.01) as backend:
        check(backend)
    if between == "another overlay":
        pynq.Overlay(board.bitfile, device=board.device)
    elif between == "another program":
        board.device.loaded_past_pynq([(0x7000_0000, 0x10000, Codec())])
    elif between == "another file":
        Path(board.bitfile).write_bytes(b"built anew")
    else:
        board.faults.never_done = True
        pynq.MMIO(0x7000_0000, 4, device=board.device).write(0, 1)
        board.faults.never_done = False
    before = board.device.downloads
    with open_backend(board) as backend:
        check(backend)
    assert board.device.downloads == before + 1


# Registers.


def test_a_batch_takes_four_register_accesses(board: VirtualBoard) -> None:
    with open_backend(board) as backend:
        check(backend, 4)
        before = board.device.register_accesses
        check(backend, 4, seed=1)
        used = board.device.register_accesses - before
        polls = used.pop(("read", "CTRL")) - 1
        assert polls >= 1
        assert used == {("read", "magic"): 1, ("write", "CTRL"): 1, ("read", "status"): 1}, (
            "and one look whether it is idle"
        )


def test_only_what_has_changed_is_written(board: VirtualBoard) -> None:
    with open_backend(board) as backend:
        check(backend, 8)
        before = board.device.register_accesses
        check(backend, 7)  # two slots, and a smaller second batch
        used = board.device.register_accesses - before
        assert {name for kind, name in used if kind == "write"} == {"CTRL", "entry", "images"}


def test_registers_that_somebody_else_changed_give_no_wrong_answer(board: VirtualBoard) -> None:
    """As by a cell of a notebook that plays with the register map."""
    with open_backend(board) as backend:
        check(backend)
        registers = pynq.Overlay(board.bitfile, download=False, device=board.device).pynq_cnn_engine_0.register_map
        for name, value in (("sections", 0), ("images", 1)):
            setattr(registers, name, value)
            with pytest.raises(DeviceError, match="written no results for image 3 of the batch.*next call"):
                backend.run(small_images(4, seed=3))
            check(backend, 4)


def noted(order: list[str], name: str, real: Any) -> Any:
    """`real`, which writes its name down when it is called."""

    def call(*args: Any) -> Any:
        order.append(name)
        return real(*args)

    return call


def test_next_batch_is_packed_and_the_last_unpacked_while_the_engine_works(board: VirtualBoard) -> None:
    order: list[str] = []
    with open_backend(board) as backend:
        driver, program = backend._accelerator._driver, backend.program
        for owner, names in ((driver, ("start", "wait")), (program, ("write_images", "read_accumulators"))):
            for name in names:
                object.__setattr__(owner, name, noted(order, name, getattr(owner, name)))
        check(backend, 10)
    inside = ["start", "read_accumulators", "write_images", "wait"]
    assert order == [
        "write_images",
        "start",
        "write_images",
        "wait",
        *inside,
        "start",
        "read_accumulators",
        "wait",
        "read_accumulators",
    ]


# Deadlines.


def test_deadlines_follow_from_the_estimate(board: VirtualBoard) -> None:
    with open_backend(board) as small:
        assert small.timeout == 5.0 and small.program.cycles < 100_000
    requantisation = Requantisation(np.full(64, 40000, np.uint16), np.full(64, 30, np.uint8))
    weight = np.ones((64, 5, 5, 64), np.int8)
    layers = (
        Conv2d("widen", np.ones((64, 1, 1, 1), np.int8), np.zeros(64, np.int32), requantisation=requantisation),
        *(Conv2d(f"c{i}", weight, np.zeros(64, np.int32), (1, 1), (2, 2), requantisation) for i in range(3)),
        Conv2d("last", np.ones((2, 1, 1, 64), np.int8), np.zeros(2, np.int32), (20, 20)),
    )
    output = OutputSpec(np.ones(2, np.float32), np.zeros(2, np.float32))
    network = Network("heavy", InputSpec(20, 20, 1, "L", (0.0,), (1.0,)), layers, output, ("a", "b"))
    with OverlayBackend(network, 64, board.bitfile, board.device) as heavy:
        assert heavy.timeout == pytest.approx(20 * heavy.program.cycles / 100e6) and heavy.timeout > 5.0
    with OverlayBackend(network, 64, board.bitfile, board.device, timeout=0.5) as heavy:
        assert heavy.timeout == 0.5


# Ctrl-C.


def test_interrupted_it_waits_for_the_engine_and_does_not_reload() -> None:
    with VirtualBoard(busy_reads=5) as board, open_backend(board) as backend:
        driver = backend._accelerator._driver
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "sleep", interrupt)
            with pytest.raises(KeyboardInterrupt):
                backend.run(small_images(1))
        before = board.device.register_accesses["write", "CTRL"]
        assert driver.get_register("CTRL") == 1, "the engine is still at work"
        check(backend)
        assert board.device.downloads == 1 and board.device.register_accesses["write", "CTRL"] == before + 2
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "sleep", interrupt)
            with pytest.raises(KeyboardInterrupt):
                backend.run(small_images(1))
        backend.close()
        assert board.device.downloads == 1 and board.memory.used == 0


def interrupt(seconds: float) -> None:
    raise KeyboardInterrupt


def test_interrupted_a_hung_engine_is_reloaded_at_its_deadline(board: VirtualBoard) -> None:
    with open_backend(board, timeout=0.2) as backend:
        check(backend)
        board.faults.never_done = True
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "sleep", interrupt)
            with pytest.raises(KeyboardInterrupt):
                backend.run(small_images(1))
        board.faults.never_done = False
        check(backend)
        assert board.device.downloads == 2


def test_a_backend_that_is_collected_while_another_runs_stops_nothing(board: VirtualBoard) -> None:
    with open_backend(board) as backend:
        other = [open_backend(board)]
        check(other[0])
        start = backend._accelerator._driver.start

        def start_and_forget(*args: Any) -> None:
            start(*args)
            other.clear()

        backend._accelerator._driver.start = start_and_forget
        check(backend, 3)
        assert board.device.downloads == 1
        del backend._accelerator._driver.start
        check(backend)
        assert board.memory.used == board.memory._pieces[0].nbytes // 4096 * 4096 + 4096, (
            "the other's memory has come back"
        )


def test_a_backend_that_is_collected_during_a_load_starts_no_other(board: VirtualBoard) -> None:
    with open_backend(board) as backend:
        other = [open_backend(board)]
        download = board.device.download

        def forget_and_load(*args: Any) -> None:
            other.clear()
            download(*args)

        board.device.loaded_past_pynq([])
        board.device.download = forget_and_load
        with pytest.warns(BoardWarning, match="replaces"):
            check(backend)
        assert board.device.downloads == 2


def test_abandoned_memory_comes_back_with_the_next_load() -> None:
    with VirtualBoard() as board:
        backend = open_backend(board, timeout=0.05)
        board.faults.never_done = board.faults.no_download = True
        with pytest.raises(DeviceError, match="did not finish"):
            backend.run(small_images(1))
        with pytest.warns(BoardWarning, match="stay taken until the bitstream can be loaded again"):
            backend.close()
        assert board.memory.used > 0
        board.faults.never_done = board.faults.no_download = False
        with open_backend(board) as backend:
            check(backend)
        assert board.memory.used == 0


# Forks and locks.


def in_child(work: Any) -> int:
    """The exit code of a forked child that runs `work()`, 0 if all went well; -1 if it hangs."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001
            os._exit(1)
        os._exit(0)
    for _ in range(1000):
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -1


def test_a_child_forked_while_another_thread_runs_does_not_hang(board: VirtualBoard) -> None:
    images = small_images(4)
    with open_backend(board) as backend, ReferenceBackend(NETWORK) as reference:
        expected = reference.run(images)
        inside, leave = threading.Event(), threading.Event()

        def hold() -> None:
            with backend._lock, backend._accelerator.lock, reference._lock:
                inside.set()
                leave.wait()

        thread = threading.Thread(target=hold)
        thread.start()
        inside.wait()

        def work() -> None:
            with pytest.raises(DeviceError, match="is its child"):
                backend.run(images)
            np.testing.assert_array_equal(reference.run(images), expected)
            backend.close()

        assert in_child(work) == 0
        leave.set()
        thread.join()
        check(backend)


def test_a_child_does_not_keep_its_parents_lock() -> None:
    """An owner that was killed leaves the accelerator to others, though it has forked children."""
    program = """
import os, sys, time
from pynq_cnn.backends.overlay.process_lock import ProcessLock
lock = ProcessLock(sys.argv[1])
lock.acquire()
if os.fork() == 0:
    print(flush=True)
    time.sleep(60)
    os._exit(0)
time.sleep(60)
"""
    name = f"test-{os.getpid()}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, start_new_session=True) as owner:
        assert owner.stdout is not None and owner.stdout.readline() == b"\n"
        assert owner_of(name) == str(owner.pid)
        owner.kill()
        owner.wait()
        try:
            with ProcessLock(name):
                assert owner_of(name) == str(os.getpid())
        finally:
            os.killpg(owner.pid, signal.SIGKILL)
    assert owner_of(name) is None


def test_an_interrupted_lock_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"test-{os.getpid()}"
    real = os.pwrite

    def write_and_interrupt(*args: Any) -> None:
        real(*args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", write_and_interrupt)
        with pytest.raises(KeyboardInterrupt) as kept:
            ProcessLock(name).acquire()
    with ProcessLock(name):
        assert kept.traceback, "the interruption is still there, as in a notebook"


@pytest.mark.once
@pytest.mark.parametrize("user", [0, 1000])
def test_locks_are_where_no_environment_moves_them(tmp_path: Path, user: int) -> None:
    """In a process of its own, as Python looks for TMPDIR once."""
    program = (
        f"import os; os.getuid = lambda: {user}\n"
        "from pynq_cnn.backends.overlay.process_lock import ProcessLock; print(ProcessLock('test').path)"
    )
    here, moved = (
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "TMPDIR": folder, "TEMP": folder, "TMP": folder},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for folder in ("/tmp", str(tmp_path))
    )
    assert here == moved


def test_the_folder_of_locks_is_private_and_no_link_is_followed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, elsewhere = tmp_path / "locks", tmp_path / "elsewhere"
    monkeypatch.setattr(process_lock, "lock_folder", lambda: folder)
    elsewhere.mkdir()
    (elsewhere / "victim").write_text("precious")
    folder.symlink_to(elsewhere)
    with pytest.raises(
        DeviceError, match="locks, the folder of lock files, is not a folder that only this user can write to"
    ):
        ProcessLock("victim").acquire()
    folder.unlink()
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    with pytest.raises(DeviceError, match="only this user"):
        ProcessLock("victim").acquire()
    folder.chmod(0o700)
    (folder / "test.lock").symlink_to(elsewhere / "victim")
    with pytest.raises(DeviceError, match=r"test.lock cannot be opened"):
        ProcessLock("test").acquire()
    assert (elsewhere / "victim").read_text() == "precious"
    folder.rename(tmp_path / "gone")
    (tmp_path / "locks").write_text("a file")
    with pytest.raises(DeviceError, match="folder of lock files"):
        ProcessLock("test").acquire()
    assert lock_folder() != folder


def test_a_lock_is_free_in_a_child_whoever_held_it() -> None:
    class Owner:
        lock: Any

    owner, inside, leave = Owner(), threading.Event(), threading.Event()
    give_lock(owner, "lock")

    def hold() -> None:
        with owner.lock:
            inside.set()
            leave.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait()

    def work() -> None:
        with owner.lock:
            pass

    assert in_child(work) == 0
    leave.set()
    thread.join()


# Event loops and interrupts.


def test_the_event_loop_goes_on_meanwhile() -> None:
    from pynq_cnn import Classifier

    async def count_and_predict(classifier: Classifier) -> tuple[int, np.ndarray]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        classes = await classifier.predict_async(small_images(4))
        ticking.cancel()
        return ticks, classes

    with (
        VirtualBoard(busy_reads=200) as board,
        Classifier(NETWORK, "overlay", bitfile=board.bitfile, device=board.device) as classifier,
    ):
        ticks, classes = asyncio.run(count_and_predict(classifier))
        assert ticks > 10
        np.testing.assert_array_equal(classes, classifier.predict(small_images(4)))


@pytest.fixture
def interrupting(tmp_path: Path) -> Any:
    hwh = tmp_path / "interrupt.hwh"
    hwh.write_text(script("overlays/make_hwh.py").make(interrupt=True), encoding="utf-8")
    with VirtualBoard(hwh=hwh) as board:
        yield board
        assert board.memory.used == 0


def test_with_an_interrupt_nobody_asks_for_the_end(interrupting: VirtualBoard) -> None:
    with open_backend(interrupting) as backend:
        check(backend, 4)
        before = interrupting.device.register_accesses
        check(backend, 4)
        used = interrupting.device.register_accesses - before
        assert used["read", "CTRL"] == 2, "once before the start, once when it was told"
        assert backend._accelerator._driver.interrupt is not None
        for n in (1, 9):
            check(backend, n)
        interrupting.faults.bus_error = True
        with pytest.raises(DeviceError, match="bus error"):
            backend.run(small_images(1))
        interrupting.faults.bus_error = False
        check(backend)


def test_an_interrupt_that_never_comes_is_given_up(interrupting: VirtualBoard) -> None:
    with open_backend(interrupting) as backend:
        check(backend, 4)
        for _, _, block in interrupting.device._logic:
            if isinstance(block, InterruptController):
                block._signal = lambda: None
        check(backend, 4)
        assert backend._accelerator._driver.interrupt is None
        check(backend, 4)


def test_pynqs_own_search_for_interrupts_is_left_as_it_was(interrupting: VirtualBoard) -> None:
    import pynq.interrupt as module

    interrupting.close()
    assert module.get_uio_irq.__module__ == "pynq.interrupt"


def test_many_threads_and_backends_through_one_executor(board: VirtualBoard) -> None:
    with open_backend(board, batch=2) as a, open_backend(board, batch=3) as b, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: check((a, b)[i % 2], 1 + i % 5, seed=i), range(24)))


# Messages of a board without this or that.


@pytest.fixture
def on_a_board(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(host, "FPGA_MANAGER", tmp_path)
    select._tell_once.cache_clear()


def test_a_board_that_answers_by_its_cpu_says_so_once(on_a_board: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.warns(
        BoardWarning, match="this board's CPU answers, not its programmable logic: there is no bitstream .*build it"
    ) as caught:
        select.make_backend(NETWORK).close()
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        select.make_backend(NETWORK).close()
    select._tell_once.cache_clear()
    monkeypatch.setattr(host, "FPGA_MANAGER", Path("/nowhere"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        select.make_backend(NETWORK).close()


@pytest.mark.parametrize(
    "error",
    [
        AttributeError("'NoneType' object has no attribute 'xclOpen'"),  # pynq 3.0.1, library not loaded
        NameError("name 'pyxrt' is not defined"),  # pynq 3.1
        RuntimeError("No Devices Found"),
    ],
)
def test_without_xrt_the_remedy_is_named(
    board: VirtualBoard, on_a_board: None, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.delattr(pynq.Device, "_active_device", raising=False)
    for _ in range(2):  # pynq takes a search that failed for one that found nothing
        monkeypatch.setattr(pynq.Device, "_devices", [], raising=False)

        def probe(error: Exception = error) -> list[Any]:
            raise error

        class Probing(pynq.Device):
            _probe_priority_ = 1
            _probe_ = staticmethod(probe)

        try:
            with pytest.raises(BackendError, match=rf"{type(error).__name__}: .*xrt_setup.sh"):
                OverlayBackend(NETWORK, bitfile=board.bitfile)
        finally:
            del type(pynq.Device)._subclasses[1]


@pytest.mark.parametrize(
    ("fault", "text"), [(ImportError, "pyxrt"), (OSError, "libxrt_core.so: cannot open shared object file")]
)
def test_a_pynq_that_cannot_be_imported_on_a_board(
    board: VirtualBoard, on_a_board: None, monkeypatch: pytest.MonkeyPatch, fault: type[Exception], text: str
) -> None:
    class Finder:
        def find_spec(self, name: str, *_: Any) -> None:
            if name == "pynq":
                raise fault(text)

    monkeypatch.delitem(sys.modules, "pynq")
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    with pytest.raises(BackendError, match=f"{text}.*on a board the image brings it.*xrt_setup.sh") as caught:
        OverlayBackend(NETWORK, bitfile=board.bitfile)
    assert "pip install" not in str(caught.value)
    monkeypatch.setattr(host, "FPGA_MANAGER", Path("/nowhere"))
    with pytest.raises(BackendError, match="pip install"):
        OverlayBackend(NETWORK, bitfile=board.bitfile)


def test_a_device_is_found_from_any_thread(board: VirtualBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    """pynq's class for boards asks for the event loop of the thread that looks for devices first."""

    class Asking(pynq.Device):
        _probe_priority_ = 1

        @classmethod
        def _probe_(cls) -> list[Any]:
            asyncio.get_event_loop()
            return [board.device]

    monkeypatch.delattr(pynq.Device, "_active_device", raising=False)
    monkeypatch.delattr(pynq.Device, "_devices", raising=False)
    try:
        with ThreadPoolExecutor(1) as pool:
            backend = pool.submit(OverlayBackend, NETWORK, bitfile=board.bitfile).result()
        with backend:
            check(backend)
    finally:
        del type(pynq.Device)._subclasses[1]
        for name in ("_active_device", "_devices"):
            if name in vars(pynq.Device):
                delattr(pynq.Device, name)


@pytest.mark.parametrize("wrong", [5, b"a.bit", ["a.bit"], object()])
def test_a_bitfile_that_is_no_path_is_refused(wrong: Any) -> None:
    with pytest.raises(ArgumentError, match="bitfile must be the path of a .bit file"):
        OverlayBackend(NETWORK, bitfile=wrong)


# Copies.


def test_a_classifier_on_a_device_of_its_own_says_that_it_cannot_travel(board: VirtualBoard) -> None:
    from pynq_cnn import Classifier

    with (
        Classifier(NETWORK, "overlay", bitfile=board.bitfile, device=board.device) as classifier,
        pytest.raises(BackendError, match="on a device of its own.*make a Classifier there"),
    ):
        pickle.dumps(classifier)
