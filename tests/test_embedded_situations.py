"""The driver on pynq's own device class, in what a board's user comes across."""

from __future__ import annotations

import _thread
import asyncio
import gc
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from embedded import FAIL_TO_LOAD, LOAD, add_other_overlay, output_of, wait_until
from virtual import ALIGNED, NO_PYNQ, NOT_ALIGNED, script, small_images, small_network

from pynq_cnn.backends.overlay import OverlayBackend
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import BoardWarning
from pynq_cnn.virtual_board.embedded import EmbeddedBoard

pynq = pytest.importorskip("pynq", reason=NO_PYNQ)
pytestmark = pytest.mark.skipif(not ALIGNED, reason=NOT_ALIGNED)

NETWORK, IMAGES = small_network(), small_images(6)
EXPECTED = ReferenceBackend(NETWORK).run(IMAGES)

CLASSIFY = """
import warnings
from pynq_cnn import Classifier
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    print(Classifier("lenet").backend_name)
print(*[warning.message for warning in caught if issubclass(warning.category, UserWarning)], sep="\\n")
"""


@pytest.fixture(autouse=True)
def event_loop_as_at_first() -> Iterator[None]:
    """`asyncio.run` leaves the main thread without one, which pynq needs in whatever test comes next."""
    yield
    asyncio.set_event_loop_policy(None)


def right(backend: OverlayBackend) -> bool:
    return bool((backend.run(IMAGES) == EXPECTED).all())


@pytest.mark.once
@pytest.mark.parametrize("ours_is_loaded", [True, False])
def test_another_process_fails_to_load(embedded_board: EmbeddedBoard, ours_is_loaded: bool) -> None:
    """pynq writes down what is loaded before it loads it."""
    loaded, failed = embedded_board.bitfile, add_other_overlay(embedded_board)
    if not ours_is_loaded:
        loaded, failed = failed, loaded
    output_of(embedded_board, "-c", LOAD, loaded)
    assert "fpga_manager: write failed" in output_of(embedded_board, "-c", FAIL_TO_LOAD, failed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BoardWarning)
        with OverlayBackend(NETWORK) as backend:
            assert right(backend)


@contextmanager
def ctrl_c_in_a_run(board: EmbeddedBoard) -> Iterator[None]:
    """Ctrl-C, as soon as the engine runs; the run then goes on until somebody ends it."""

    def interrupt() -> None:
        wait_until(lambda: not board.engine.at_rest)
        _thread.interrupt_main()

    board.engine.run_seconds = 60.0
    thread = threading.Thread(target=interrupt)
    # What a shell has started in the background ignores Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            yield
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
    board.engine.run_seconds = 0.0


@pytest.mark.once
def test_interrupted_run_is_waited_for(embedded_board: EmbeddedBoard) -> None:
    with OverlayBackend(NETWORK, timeout=30) as backend:
        for _ in range(2):
            backend.run(IMAGES[::-1])
            with ctrl_c_in_a_run(embedded_board):
                backend.run(IMAGES)
            later = threading.Timer(0.1, embedded_board.engine.end_run)
            later.start()
            assert right(backend)
            later.join()
        with ctrl_c_in_a_run(embedded_board):
            backend.run(IMAGES)
        later = threading.Timer(0.1, embedded_board.engine.end_run)
        later.start()
    later.join()
    assert embedded_board.loads == ["pynq_cnn.bin"], "and its memory was not given back before it had ended"


@pytest.mark.once
def test_first_use_in_a_thread(embedded_board: EmbeddedBoard) -> None:
    """pynq's device class asks for the event loop of its thread."""
    answers = []

    def work() -> None:
        with OverlayBackend(NETWORK) as backend:
            answers.append(right(backend))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == [True]


@pytest.mark.once
def test_first_use_after_asyncio_run(embedded_board: EmbeddedBoard) -> None:
    """Which leaves the main thread without an event loop."""
    asyncio.run(asyncio.sleep(0))
    with OverlayBackend(NETWORK) as backend:
        assert right(backend)


@pytest.mark.once
@pytest.mark.parametrize(
    "options", [("--xrt", "not sourced"), ("--xrt", "not loaded"), ("--xrt", "missing"), ("--no-bitstream",)]
)
def test_the_cpu_answers_on_a_board_and_says_why(embedded_board: EmbeddedBoard, options: tuple[str, ...]) -> None:
    anew = "missing" in options
    backend, *said = output_of(embedded_board, *options, "-c", CLASSIFY, anew=anew).splitlines()
    assert backend == "cpu" and len(said) == 1, said
    assert said[0].startswith("this board's CPU answers, not its programmable logic: ")
    assert ("source /etc/profile.d/xrt_setup.sh" if "--xrt" in options else "there is no bitstream") in said[0]
    assert "pip install" not in said[0]


@pytest.fixture
def interrupting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedBoard]:
    """A board whose design has the engine's interrupt wired."""
    monkeypatch.chdir(tmp_path)
    hwh = tmp_path / "interrupt.hwh"
    hwh.write_text(script("overlays/make_hwh.py").make(interrupt=True), encoding="utf-8")
    with EmbeddedBoard(hwh=hwh) as board:
        yield board
        gc.collect()
        assert board.memory.used == 0 and board.complaints == []


@pytest.mark.once
def test_the_driver_is_told_by_the_interrupt(interrupting: EmbeddedBoard) -> None:
    with OverlayBackend(NETWORK, batch=2) as backend:
        for _ in range(3):
            assert right(backend)
        assert backend._accelerator._driver.interrupt is not None, "it has not found out by asking"


@pytest.mark.once
def test_pynqs_own_interrupt_is_told(interrupting: EmbeddedBoard) -> None:
    async def run() -> int:
        engine = pynq.Overlay(interrupting.bitfile).pynq_cnn_engine_0
        registers = engine.register_map
        interrupt = pynq.Interrupt("pynq_cnn_engine_0/interrupt")
        registers.GIER, registers.IP_IER = 1, 1
        waiting = asyncio.ensure_future(interrupt.wait())
        await asyncio.sleep(0)
        registers.CTRL.AP_START = 1
        await asyncio.wait_for(waiting, 60)
        pynq.interrupt._InterruptController._uio_devices.clear()  # while its loop runs
        return int(registers.IP_ISR)

    assert asyncio.run(run()) == 1
