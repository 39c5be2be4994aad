"""The driver on the closer board, where pynq's own device class and its records are: what it does with other processes
about.
"""

from __future__ import annotations

import subprocess
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from embedded import LOAD, add_other_overlay, command, elsewhere, output_of
from virtual import ALIGNED, NO_PYNQ, NOT_ALIGNED, small_images, small_network

from pynq_cnn import Classifier
from pynq_cnn.backends.overlay import OverlayBackend
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import BoardWarning, DeviceError
from pynq_cnn.virtual_board.embedded import EmbeddedBoard

pynq = pytest.importorskip("pynq", reason=NO_PYNQ)
pytestmark = pytest.mark.skipif(not ALIGNED, reason=NOT_ALIGNED)

NETWORK = small_network()


@pytest.fixture
def board(embedded_board: EmbeddedBoard) -> EmbeddedBoard:
    return embedded_board


def check(backend: OverlayBackend, n: int = 6, seed: int = 0) -> None:
    """It gives what the reference gives."""
    images = small_images(n, seed)
    np.testing.assert_array_equal(backend.run(images), ReferenceBackend(backend.network).run(images))


@pytest.mark.once
def test_batches_overlap_with_runs_that_last(board: EmbeddedBoard) -> None:
    """pynq 3.1 flushes and invalidates the whole buffer while the engine writes to part of it."""
    board.engine.run_seconds = 0.01
    with OverlayBackend(NETWORK, batch=8) as backend:
        check(backend, 70)


@pytest.mark.once
def test_an_overlay_that_another_process_has_loaded_is_noticed(board: EmbeddedBoard) -> None:
    other = add_other_overlay(board)
    with OverlayBackend(NETWORK) as backend:
        check(backend)
        output_of(board, "-c", LOAD, other)
        with pytest.warns(BoardWarning, match=r"pynq_cnn.bit replaces base.bit.*pynq.Overlay\('.*base.bit'\)"):
            check(backend)
    assert board.loads == ["pynq_cnn.bin", "base.bin", "pynq_cnn.bin"]


@pytest.mark.once
def test_an_overlay_that_was_there_before_is_replaced_with_a_warning(board: EmbeddedBoard) -> None:
    """As on every board after it has started: another process has loaded the base overlay."""
    output_of(board, "-c", LOAD, add_other_overlay(board))
    with pytest.warns(BoardWarning, match=r"replaces base.bit.*pynq.Overlay\('.*base.bit'\)$"):
        backend = OverlayBackend(NETWORK)
    with backend:
        check(backend)


@pytest.mark.once
def test_of_the_overlay_that_images_load_at_the_start_the_warning_says_so(board: EmbeddedBoard) -> None:
    folder = board.folder / "pynq" / "overlays" / "base"
    folder.mkdir(parents=True)
    own = Path(add_other_overlay(board))
    for suffix in (".bit", ".hwh"):
        (folder / f"base{suffix}").write_bytes(own.with_suffix(suffix).read_bytes())
    output_of(board, "-c", LOAD, str(folder / "base.bit"))
    with pytest.warns(BoardWarning, match=r"replaces base.bit.*images load it whenever they start"):
        OverlayBackend(NETWORK).close()


@pytest.mark.once
def test_the_same_bitstream_loaded_by_another_process_is_taken_over(board: EmbeddedBoard) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", BoardWarning)
        output_of(board, "-c", LOAD, board.bitfile)
        with OverlayBackend(NETWORK) as backend:
            check(backend)
            assert board.loads == ["pynq_cnn.bin"]
            output_of(board, "-c", LOAD, board.bitfile)  # the engine has forgotten everything
            check(backend)
        with OverlayBackend(NETWORK) as backend:
            check(backend)
    assert board.loads == ["pynq_cnn.bin"] * 2


@pytest.mark.once
def test_processes_take_turns_and_load_once(board: EmbeddedBoard) -> None:
    code = "import pynq_cnn, numpy; print(pynq_cnn.classify(numpy.eye(28) * 0.9, backend='overlay').backend)"
    for _ in range(2):
        assert output_of(board, "-c", code).strip() == "overlay"
    with Classifier("lenet") as classifier:
        assert classifier.backend_name == "overlay"
        done = elsewhere(board, "-c", code)
        assert done.returncode and "is using the accelerator" in done.stderr and "pynq_cnn.release()" in done.stderr
    assert board.loads == ["pynq_cnn.bin"]


@pytest.mark.once
def test_interrupted_it_reloads_nothing_under_the_engine(board: EmbeddedBoard) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    board.engine.run_seconds = 0.2
    with OverlayBackend(NETWORK) as backend:
        check(backend)
        for after in (lambda: check(backend), backend.close):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(time, "sleep", interrupt)
                with pytest.raises(KeyboardInterrupt):
                    backend.run(small_images(1))
            after()
    assert board.loads == ["pynq_cnn.bin"]


@pytest.mark.once
def test_a_killed_owners_engine_is_waited_for_or_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from virtual import small_images, small_network
from pynq_cnn.backends.overlay import OverlayBackend
backend = OverlayBackend(small_network(), timeout=60)
print("ready", flush=True)
sys.stdin.readline()
backend.run(small_images(1))
"""
    with EmbeddedBoard() as board:
        for run_seconds, loads in ((0.5, 1), (60.0, 2)):
            board.engine.run_seconds = 0.0
            with subprocess.Popen(command(board, "-c", code), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
                assert owner.stdout is not None and b"ready\n" in iter(owner.stdout.readline, b"")
                with pytest.raises(DeviceError, match=f"process {owner.pid} is using the accelerator"):
                    OverlayBackend(NETWORK)
                assert owner.stdin is not None
                board.engine.run_seconds = run_seconds
                owner.stdin.write(b"go\n")
                owner.stdin.flush()
                deadline = time.monotonic() + 60
                while board.engine.at_rest and time.monotonic() < deadline:
                    time.sleep(0.01)
                owner.kill()
                owner.wait()
            board.engine.run_seconds = 0.0
            with OverlayBackend(NETWORK) as backend:
                check(backend)
            assert len(board.loads) == loads
        assert board.complaints == ["pynq_cnn.bin was loaded while the engine was working on memory"], (
            "there was no other way"
        )
