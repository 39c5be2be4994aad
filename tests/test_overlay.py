"""The overlay backend on the virtual board: the driver's code as the board runs it, and what happens when the board
misbehaves.
"""

from __future__ import annotations

import fcntl
import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import networks, random_images
from virtual import NO_PYNQ, ROOT, small_images, small_network

from pynq_cnn.backends.overlay import OverlayBackend
from pynq_cnn.backends.overlay.process_lock import ProcessLock
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import ArgumentError, BackendError, CompileError, DeviceError
from pynq_cnn.virtual_board import VirtualBoard

pynq = pytest.importorskip("pynq", reason=NO_PYNQ)

NETWORK = small_network()


def open_backend(
    board: VirtualBoard, network: Any = NETWORK, batch: int = 4, timeout: float | None = None
) -> OverlayBackend:
    return OverlayBackend(network, batch, bitfile=board.bitfile, device=board.device, timeout=timeout)


def check(backend: OverlayBackend, n: int = 6, seed: int = 0) -> None:
    """It gives what the reference gives."""
    images = small_images(n, seed)
    np.testing.assert_array_equal(backend.run(images), ReferenceBackend(backend.network).run(images))


# The results.


@pytest.fixture(scope="module")
def shared_board() -> Iterator[VirtualBoard]:
    with VirtualBoard() as board, open_backend(board):  # keeps the accelerator loaded
        yield board


@settings(max_examples=25)
@given(
    network=networks(max_side=10, max_channels=20),
    batch=st.integers(1, 3),
    n=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(shared_board: VirtualBoard, network: Any, batch: int, n: int, seed: int) -> None:
    images = random_images(network, n, seed)
    with open_backend(shared_board, network, batch) as backend:
        np.testing.assert_array_equal(backend.run(images), ReferenceBackend(network).run(images))


def test_any_number_of_images(board: VirtualBoard) -> None:
    with open_backend(board, batch=3) as backend:
        for n in (0, 1, 2, 3, 4, 7):
            check(backend, n, seed=n)
        assert backend.run(small_images(0)).shape == (0, 5)


def test_results_are_copies(board: VirtualBoard) -> None:
    with open_backend(board) as backend:
        first = backend.run(small_images(3, 1))
        kept = first.copy()
        backend.run(small_images(3, 2))
        np.testing.assert_array_equal(first, kept)
        assert first.flags.owndata and not np.shares_memory(first, backend._buffer)
    np.testing.assert_array_equal(first, kept)


def test_tells_the_build_of_the_engine(board: VirtualBoard) -> None:
    board.faults.identity = {"build": 0x12345678}
    with open_backend(board) as backend:
        assert backend.build == 0x12345678


def test_run_timed_tells_where_the_time_goes(board: VirtualBoard) -> None:
    with open_backend(board) as backend:
        accumulators, seconds = backend.run_timed(small_images(9))
        assert np.array_equal(accumulators, ReferenceBackend(NETWORK).run(small_images(9)))
        assert tuple(seconds) == ("pack", "flush", "run", "invalidate", "unpack") and min(seconds.values()) > 0


# Flush and invalidate: the processor's memory and the device's are apart.


def test_forgotten_flush_of_the_program_is_noticed(board: VirtualBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_backend(board) as backend:
        with monkeypatch.context() as patch:
            patch.setattr(pynq.buffer.PynqBuffer, "flush", lambda self: None)
            with pytest.raises(DeviceError, match="status 1 .unknown opcode. at instruction 0, the start of a section"):
                backend.run(small_images(2))
        check(backend)


def test_forgotten_flush_of_the_images_gives_wrong_results(
    board: VirtualBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_backend(board) as backend:
        check(backend)
        monkeypatch.setattr(pynq.buffer.PynqBuffer, "flush", lambda self: None)
        images = small_images(2, seed=9)
        assert (backend.run(images) != ReferenceBackend(NETWORK).run(images)).any()


def test_forgotten_invalidate_is_noticed(board: VirtualBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_backend(board) as backend:
        check(backend)
        monkeypatch.setattr(pynq.buffer.PynqBuffer, "invalidate", lambda self: None)
        with pytest.raises(DeviceError, match="it has written no results for image 1 of the batch"):
            backend.run(small_images(2, seed=9))


# Faults while running: an error that says what happened, then a working call.


def test_never_done_ends_with_the_deadline_and_the_next_call_works(board: VirtualBoard) -> None:
    with open_backend(board, timeout=0.05) as backend:
        check(backend)
        board.faults.never_done = True
        with pytest.raises(
            DeviceError, match=r"did not finish within 0.05 s \(CTRL=0x1, status=.*magic=0x4e4e4350.*timeout="
        ) as caught:
            backend.run(small_images(1))
        assert "geometry=" in str(caught.value)
        board.faults.never_done = False
        check(backend)
        assert board.device.downloads == 2


def test_bus_error_is_reported_and_the_next_call_works(board: VirtualBoard) -> None:
    with open_backend(board) as backend:
        board.faults.bus_error = True
        for _ in range(2):
            with pytest.raises(DeviceError, match="bus error.*memory answered with an error.*registers unreadable"):
                backend.run(small_images(1))
        board.faults.bus_error = False
        check(backend)


def test_interrupted_wait_leaves_no_run_behind(board: VirtualBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    with open_backend(board) as backend:
        board.faults.never_done = True
        with monkeypatch.context() as patch:
            patch.setattr(time, "sleep", interrupt)
            with pytest.raises(KeyboardInterrupt):
                backend.run(small_images(1))
        board.faults.never_done = False
        check(backend)
        assert board.device.downloads == 2, "the engine that may still be writing was stopped"


def test_damaged_program_is_noticed_and_written_anew(board: VirtualBoard) -> None:
    with open_backend(board) as backend:
        check(backend)
        address = backend._buffer.device_address
        at = backend.program.instruction_names.index("fc")
        board.memory.device(address + 128 * at, 1)[:] = 0xEE  # its opcode
        with pytest.raises(DeviceError, match=f"unknown opcode. at instruction {at}, fc"):
            backend.run(small_images(1))
        check(backend)


def test_failed_reload_says_why_until_it_works(board: VirtualBoard) -> None:
    with open_backend(board, timeout=0.05) as backend:
        board.faults.never_done = True
        with pytest.raises(DeviceError, match="did not finish"):
            backend.run(small_images(1))
        board.faults.never_done, board.faults.no_download = False, True
        for _ in range(2):
            with pytest.raises(DeviceError, match="cannot load pynq_cnn.bit.*fpga_manager"):
                backend.run(small_images(1))
        board.faults.no_download = False
        check(backend)


def test_another_overlay_of_this_process_is_replaced(board: VirtualBoard) -> None:
    with open_backend(board) as backend:
        check(backend)
        pynq.Overlay(board.bitfile, device=board.device)
        check(backend)
        assert board.device.downloads == 3


def test_other_engine_after_a_reload_is_refused(board: VirtualBoard) -> None:
    """As when the .bit is replaced while a notebook has the old one open."""
    with open_backend(board) as backend:
        board.faults.bus_error = True
        with pytest.raises(DeviceError, match="bus error"):
            backend.run(small_images(1))
        board.faults.bus_error = False
        board.faults.identity = {"buffers": 0x080A1012}
        with pytest.raises(DeviceError, match="compiled for Hardware.*make a new backend"):
            backend.run(small_images(1))
        board.faults.identity = {}
        with pytest.raises(DeviceError, match="compiled for Hardware"):
            backend.run(small_images(1))  # nothing has loaded it again


# Faults while opening: an error that says what to do, and nothing stays taken.


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        ({"magic": 0}, "not the engine: its magic register says 0x00000000, not 0x4e4e4350"),
        ({"isa_version": 1}, "speaks version 1 of the instruction set, and this pynq_cnn version 2"),
        ({"geometry": 16 | 8 << 8 | 64 << 16}, "16 x 8 multipliers.*compiles for 16 x 16"),
        ({"geometry": 0}, "0 x 0 multipliers"),
        ({"geometry": 16 | 16 << 8}, "0 parameter groups"),
    ],
)
def test_wrong_identity_is_refused(board: VirtualBoard, identity: dict[str, int], message: str) -> None:
    board.faults.identity = identity
    with pytest.raises(DeviceError, match=message) as caught:
        open_backend(board)
    with ProcessLock(board.device.tag):
        assert caught.traceback, "the error is still there, and what it was about has been given back"
    board.faults.identity = {}
    with open_backend(board) as backend:
        check(backend)


def test_engine_too_small_for_the_network_is_refused(board: VirtualBoard) -> None:
    board.faults.identity = {"buffers": 0x01010101}
    with pytest.raises(CompileError, match="conv|fc"):
        open_backend(board)


def test_engine_that_never_answers_is_refused(board: VirtualBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pynq_cnn.backends.overlay.accelerator.ANSWER_SECONDS", 0.1)
    board.faults.never_done = True
    with pytest.raises(DeviceError, match="did not finish within 0.1 s"):
        open_backend(board, timeout=0.05)


def test_out_of_contiguous_memory_names_the_need_and_the_remedy() -> None:
    with VirtualBoard(contiguous_bytes=64 << 10) as board:
        with pytest.raises(DeviceError, match=r"not enough contiguous memory: \d\.\d MiB are needed.*smaller batch="):
            open_backend(board, batch=2000)
        assert board.memory.used == 0
        with open_backend(board, batch=8) as backend:
            check(backend)
            board.faults.no_memory = True
            with pytest.raises(DeviceError, match="not enough contiguous memory"):
                open_backend(board)
            check(backend)
        assert board.memory.used == 0


@pytest.mark.parametrize(
    ("error", "message"),
    [(PermissionError("Root permissions required."), "be root"), (OSError("xclbinutil failed"), "check that the .bit")],
)
def test_failing_download_names_a_remedy(
    board: VirtualBoard, monkeypatch: pytest.MonkeyPatch, error: OSError, message: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(board.device, "download", fail)
    with pytest.raises(DeviceError, match=f"cannot load pynq_cnn.bit on {board.device.tag}: .*{error}.*{message}"):
        open_backend(board)


def edited(tmp_path: Path, old: str, new: str) -> Path:
    text = (ROOT / "overlays" / "pynq_cnn.hwh").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "edited.hwh"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '"PCW_S_AXI_HP0_DATA_WIDTH" VALUE="64"',
            '"PCW_S_AXI_HP0_DATA_WIDTH" VALUE="32"',
            "S_AXI_HP0 of 32 bits.*64 bits",
        ),
        ('"PCW_USE_S_AXI_HP', '"PCW_USE_S_AXI_XX', "no S_AXI_HP port"),
        ("pynq-cnn:hls:pynq_cnn_engine:1.0", "pynq-cnn:hls:another_engine:1.0", "0 engines of type .*another_engine"),
        ('REGISTER NAME="images"', 'REGISTER NAME="pictures"', "no register images"),
        ("</EDKSYSTEM>", "", "cannot read pynq_cnn.hwh.*check that pynq_cnn.hwh is whole"),
    ],
)
def test_unsuitable_hand_off_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    with VirtualBoard(hwh=edited(tmp_path, old, new)) as board, pytest.raises(DeviceError, match=message):
        open_backend(board)


def test_a_later_version_of_the_engine_is_driven_by_its_identity(tmp_path: Path) -> None:
    with (
        VirtualBoard(hwh=edited(tmp_path, "pynq_cnn_engine:1.0", "pynq_cnn_engine:1.1")) as board,
        open_backend(board) as backend,
    ):
        check(backend)


def test_ports_that_the_boot_loader_left_narrow_are_widened(board: VirtualBoard) -> None:
    for port in range(4):
        afi = pynq.MMIO(0xF800_8000 + 0x1000 * port, 0x20, device=board.device)
        afi.write(0x00, 1)
        afi.write(0x14, 0xF01)
    with open_backend(board) as backend:
        check(backend)
        assert [afi.read(0x00), afi.read(0x14)] == [1, 0xF01], "HP3 is not used"
        pynq.MMIO(0xF800_8000, 0x20, device=board.device).write(0, 1)
        with pytest.raises(DeviceError, match="S_AXI_HP0 is 32 bits wide"):
            backend.run(small_images(1))
        check(backend)
        assert pynq.MMIO(0xF800_8000, 0x20, device=board.device).read(0x14) == 0xF00, "the other bits stay"


def test_clock_is_the_designs_whatever_the_dividers(tmp_path: Path) -> None:
    """A hand-off made for another crystal has dividers that give another clock on the PYNQ-Z2."""
    hwh = edited(tmp_path, '"PCW_FCLK0_PERIPHERAL_DIVISOR0" VALUE="5"', '"PCW_FCLK0_PERIPHERAL_DIVISOR0" VALUE="8"')
    with VirtualBoard(hwh=hwh) as board:
        pynq.Overlay(board.bitfile, device=board.device)
        assert pynq.Clocks.fclk0_mhz == 62.5
        with open_backend(board):
            assert pynq.Clocks.fclk0_mhz == 100


def test_missing_files_and_devices_are_named(
    board: VirtualBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bitfile = tmp_path / "mine.bit"
    with pytest.raises(BackendError, match="no bitstream .*mine.bit; build it"):
        OverlayBackend(NETWORK, device=board.device, bitfile=bitfile)
    bitfile.write_bytes(b"")
    with pytest.raises(BackendError, match="no mine.hwh next to"):
        OverlayBackend(NETWORK, device=board.device, bitfile=bitfile)
    monkeypatch.setattr(pynq.Device, "_devices", [], raising=False)
    with pytest.raises(BackendError, match="finds no device.*xrt_setup.sh.*virtual") as caught:
        OverlayBackend(NETWORK, bitfile=board.bitfile)
    assert not isinstance(caught.value, DeviceError), "auto may fall back"


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout": 0},
        {"timeout": float("nan")},
        {"timeout": "1"},
        {"timeout": True},
        {"device": "pynq-z2"},
        {"batch": 0},
    ],
)
def test_arguments_are_checked(board: VirtualBoard, wrong: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        OverlayBackend(NETWORK, **{"device": board.device, "bitfile": board.bitfile, **wrong})


# Owning and giving back.


def test_close_gives_everything_back(board: VirtualBoard) -> None:
    backend = open_backend(board)
    check(backend)
    assert board.memory.used > 0
    backend.close()
    backend.close()
    assert board.memory.used == 0
    with pytest.raises(BackendError, match="closed"):
        backend.run(small_images(1))


@pytest.mark.once
def test_a_forgotten_backend_is_given_back(board: VirtualBoard) -> None:
    backend = open_backend(board)
    check(backend)
    del backend
    gc.collect()
    assert board.memory.used == 0


def test_close_stops_an_engine_that_still_runs_before_its_memory_is_freed(board: VirtualBoard) -> None:
    with open_backend(board, timeout=0.05) as backend:
        board.faults.never_done = True
        with pytest.raises(DeviceError, match="did not finish"):
            backend.run(small_images(1))
    assert board.device.downloads == 2 and board.memory.used == 0


def test_memory_of_an_engine_that_cannot_be_stopped_stays_taken() -> None:
    with VirtualBoard() as board:
        backend = open_backend(board, timeout=0.05)
        board.faults.never_done = board.faults.no_download = True
        with pytest.raises(DeviceError, match="did not finish"):
            backend.run(small_images(1))
        with pytest.warns(UserWarning, match="stay taken"):
            backend.close()
        assert board.memory.used > 0
        board.faults.never_done = board.faults.no_download = False
        with open_backend(board) as backend:
            check(backend)


def test_models_share_the_board(board: VirtualBoard) -> None:
    other = small_network(seed=1, classes=20)
    with open_backend(board) as a, open_backend(board, other) as b:
        check(a)
        check(b)
        check(a)
    assert board.device.downloads == 1


def test_threads_take_turns(board: VirtualBoard) -> None:
    other = small_network(seed=1, classes=20)
    errors: list[BaseException] = []

    def work(backend: OverlayBackend, seed: int) -> None:
        try:
            for i in range(5):
                check(backend, 5, seed + i)
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    with open_backend(board, batch=2) as a, open_backend(board, other, batch=3) as b:
        threads = [threading.Thread(target=work, args=(backend, 10 * i)) for i, backend in enumerate((a, a, b, b))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not errors, errors


def test_another_bitstream_has_to_wait(board: VirtualBoard, tmp_path: Path) -> None:
    bitfile = tmp_path / "other.bit"
    bitfile.write_bytes(Path(board.bitfile).read_bytes())
    bitfile.with_suffix(".hwh").write_bytes(Path(board.bitfile).with_suffix(".hwh").read_bytes())
    with open_backend(board) as backend:
        with pytest.raises(DeviceError, match="in use with .*pynq_cnn.bit; close"):
            OverlayBackend(NETWORK, bitfile=bitfile, device=board.device)
        check(backend)
    with OverlayBackend(NETWORK, bitfile=bitfile, device=board.device) as backend:
        check(backend)


@pytest.mark.once
def test_another_process_has_to_wait(board: VirtualBoard) -> None:
    program = """
import sys
from pynq_cnn.backends.overlay.process_lock import ProcessLock
with ProcessLock(sys.argv[1]):
    print(flush=True)
    input()
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, board.device.tag]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as owner:
        assert owner.stdout is not None and owner.stdout.readline() == b"\n"
        remedy = r"close its Classifier or call pynq_cnn.release\(\) there"  # who called classify has no Classifier
        with pytest.raises(DeviceError, match=f"process {owner.pid} is using the accelerator.*{remedy}"):
            open_backend(board)
        owner.kill()  # without giving the lock back
        owner.wait()
    with open_backend(board) as backend:
        check(backend)
        done = subprocess.run(command, env=environment, capture_output=True, input=b"\n")
        assert done.returncode != 0 and f"process {os.getpid()} is using the accelerator".encode() in done.stderr
    done = subprocess.run(command, env=environment, capture_output=True, input=b"\n")
    assert done.returncode == 0, done.stderr


def test_a_lock_file_that_its_owner_has_just_removed_is_no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    lock, flock = ProcessLock(f"test-{os.getpid()}"), fcntl.flock

    def remove_first(file: int, operation: int) -> None:
        monkeypatch.undo()
        lock.path.unlink()
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    with lock, pytest.raises(DeviceError, match=f"process {os.getpid()} is using"):
        ProcessLock(f"test-{os.getpid()}").acquire()


def test_a_forked_child_gives_nothing_back(board: VirtualBoard) -> None:
    """As when it ends and Python closes its copy of the backend."""
    with open_backend(board) as backend:
        child = os.fork()
        if child == 0:
            try:
                backend.close()
            finally:
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        with pytest.raises(DeviceError, match="is using the accelerator"):
            ProcessLock(board.device.tag).acquire()
        check(backend)


def test_a_forked_child_is_refused(board: VirtualBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_backend(board) as backend:
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: -1)
            with pytest.raises(DeviceError, match="its child -1"):
                backend.run(small_images(1))
        check(backend)


def test_a_numpy_that_pynq_is_not_for_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pynq_cnn.backends.overlay.library.has_device", lambda buffer, array: False)
    with (
        pytest.raises(BackendError, match=r"which it cannot make with NumPy .*; pip install 'numpy<2'"),
        VirtualBoard(),
    ):
        pass
