"""`pynq-cnn doctor`: a healthy machine, and every fault that it can tell."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from virtual import NO_PYNQ

from pynq_cnn import Classifier, doctor
from pynq_cnn.backends import host
from pynq_cnn.backends.overlay.process_lock import ProcessLock
from pynq_cnn.cli import main
from pynq_cnn.doctor import GOOD, MISSING, WRONG, Finding, examine
from pynq_cnn.errors import BackendError
from pynq_cnn.virtual_board.embedded import EmbeddedBoard


def found(what: str) -> Finding:
    """The one finding on `what`."""
    (finding,) = [one for one in examine() if one.what == what]
    return finding


def check(what: str, state: str, *texts: str) -> None:
    finding = found(what)
    assert finding.state == state
    for text in texts:
        assert text in f"{finding.text} -> {finding.remedy}"
    assert bool(finding.remedy) or state != WRONG


def test_a_laptop_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "MISSING board" in out and "MISSING bitstream" in out and "nothing is wrong" in out and "WRONG" not in out
    check(
        "Python", GOOD, f"{sys.version_info[0]}.{sys.version_info[1]}.", "64 bits" if sys.maxsize > 2**32 else "32 bits"
    )
    check("compiled parts", GOOD, "instruction set 2")
    check("models", GOOD, "lenet", "vgg_bnn_half")
    check("bitstream", MISSING, "no bitstream", "make -C hls_src bitstream")


def test_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["wrong"] == 0 and report["findings"][0].keys() == {"what", "state", "text", "remedy"}


def test_nothing_is_changed_by_looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pynq_cnn.backends.overlay import process_lock

    monkeypatch.setattr(process_lock, "lock_folder", lambda: tmp_path / "locks")
    examine()
    assert not (tmp_path / "locks").exists()


def test_old_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numpy.__version__", "1.19.5")
    monkeypatch.setattr("PIL.__version__", "8.4.0")
    monkeypatch.setattr(doctor.sys, "version_info", (3, 9, 1))
    check("NumPy", WRONG, "1.19.5", "numpy>=1.21")
    check("Pillow", WRONG, "8.4.0", "Pillow>=9")
    check("Python", WRONG, "3.10")
    monkeypatch.setattr("numpy.__version__", "2.5.0.dev0+git")
    check("NumPy", GOOD)


def test_damaged_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(doctor, "MODELS", tmp_path)
    check("models", WRONG, "none in", "install pynq_cnn again")
    (tmp_path / "lenet").mkdir()
    (tmp_path / "lenet" / "manifest.json").write_text("{")
    check("models", WRONG, "manifest.json", "install pynq_cnn again")
    assert main(["doctor"]) == 1 and "1 of" in capsys.readouterr().out


def test_without_the_compiled_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise BackendError("the kernel was not compiled; install a compiler")

    monkeypatch.setattr(doctor, "load_engine", missing)
    check("compiled parts", MISSING, "was not compiled", "install a compiler")


def test_the_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYNQ_CNN_CPU_SET", "baseline")
    check("instruction set", GOOD, "the cpu backend, on baseline")
    monkeypatch.setenv("PYNQ_CNN_CPU_SET", "mmx")
    check("instruction set", MISSING, "PYNQ_CNN_CPU_SET is 'mmx', but this processor has", "set it to one of these")


def test_without_the_compiled_cpu_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise BackendError("the cpu backend was not compiled; install a compiler")

    monkeypatch.setattr(doctor, "load_library", missing)
    check("instruction set", MISSING, "was not compiled", "install a compiler")


def test_the_kernel_of_another_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ISA_VERSION", doctor.ISA_VERSION + 1)
    check("compiled parts", MISSING, "instruction set 2, not 3", "reinstall")


# On a board.


@pytest.mark.once
def test_a_board_is_well(embedded_board: EmbeddedBoard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "REVISION").write_text("Release 2022_08_18 b3bbf54\nBoard 2022_08_18 b3bbf54\n")
    (tmp_path / "model").write_bytes(b"TUL PYNQ-Z2\0")
    monkeypatch.setattr(doctor, "REVISION", tmp_path / "REVISION")
    monkeypatch.setattr(doctor, "BOARD_MODEL", tmp_path / "model")
    assert [one for one in examine() if one.state != GOOD] == []
    check("board", GOOD, "TUL PYNQ-Z2, image Release 2022_08_18")
    check("bitstream", GOOD, "made for 100 MHz, registers at 0x70000000")
    check("contiguous memory", GOOD, "128 of 128 MiB free")
    check("loaded design", GOOD, "nothing that pynq knows of")
    assert embedded_board.loads == []
    with Classifier("lenet"):
        check("loaded design", GOOD, "pynq_cnn.bit: 16 x 16 multipliers, instruction set 2, build 0x")
        check("accelerator", GOOD, "used by this process")
    check("accelerator", GOOD, "free")


@pytest.mark.once
def test_who_has_the_accelerator(embedded_board: EmbeddedBoard) -> None:
    lock = ProcessLock("embedded_xrt0")
    lock.acquire()
    try:
        lock.path.write_text("4711")
        check("accelerator", WRONG, "process 4711 is using it", "pynq_cnn.release()")
    finally:
        lock.release()


@pytest.mark.once
def test_contiguous_memory_that_is_taken(embedded_board: EmbeddedBoard) -> None:
    """By whichever process; and it is free again when that has ended."""
    import pynq
    from embedded import output_of

    pynq.Overlay(embedded_board.bitfile)
    ours = pynq.allocate((40 << 20,), "u1")
    check("contiguous memory", GOOD, "88 of 128 MiB free")
    program = "import pynq; a = pynq.allocate((80 << 20,), 'u1'); from pynq_cnn.cli import main; main(['doctor'])"
    assert "8 of 128 MiB free" in output_of(embedded_board, "-c", program)
    check("contiguous memory", GOOD, "88 of 128 MiB free")
    ours.freebuffer()


@pytest.mark.once
def test_a_users_own_overlay(embedded_board: EmbeddedBoard) -> None:
    import pynq
    from embedded import add_other_overlay

    pynq.Overlay(add_other_overlay(embedded_board))
    check("loaded design", GOOD, "base.bit")


@pytest.mark.once
@pytest.mark.parametrize(
    ("options", "what", "texts"),
    [
        ({"xrt": "not loaded"}, "device", ("finds no device", "xrt_setup.sh")),
        ({"xrt": "not sourced"}, "device", ("finds no device", "xrt_setup.sh")),
        ({"root": False}, "user", ("user 1000", "sudo -i")),
        ({"contiguous_bytes": 4 << 20}, "contiguous memory", ("4 of 4 MiB free", "restart the board")),
        ({"bitstream": False}, "bitstream", ("no bitstream", "make -C hls_src bitstream")),
    ],
)
def test_what_a_board_lacks(
    options: dict[str, Any],
    what: str,
    texts: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("pynq", reason=NO_PYNQ)
    monkeypatch.chdir(tmp_path)
    with EmbeddedBoard(**options):
        check(what, WRONG, *texts)


@pytest.mark.once
def test_a_board_without_its_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(host, "FPGA_MANAGER", tmp_path)
    monkeypatch.setattr(host, "MEMORY", tmp_path / "none")
    monkeypatch.delenv("XILINX_XRT", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    check("user", WRONG, "user 1000", "sudo -i")
    check("XRT", WRONG, "not sourced", "xrt_setup.sh")
    check("contiguous memory", WRONG, "PYNQ image")
    check("board", GOOD, "image unknown")
    monkeypatch.setenv("XILINX_XRT", str(tmp_path / "gone"))
    check("XRT", WRONG, "which is not there")
    (tmp_path / "low").write_text("MemTotal:  505652 kB\nCmaTotal: 131072 kB\nCmaFree: 900 kB\n")
    monkeypatch.setattr(host, "MEMORY", tmp_path / "low")
    check("contiguous memory", WRONG, "1 of 128 MiB free", "restart the board")


def test_without_pynq(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Finder:
        def find_spec(self, name: str, *_: Any) -> None:
            if name == "pynq":
                raise ImportError("No module named 'pyxrt'")

    monkeypatch.delitem(sys.modules, "pynq", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    check(
        "pynq", MISSING, "No module named 'pyxrt'", "pynq_cnn[board]" if sys.version_info < (3, 13) else "3.10 to 3.12"
    )
    monkeypatch.setattr(host, "FPGA_MANAGER", tmp_path)
    check("pynq", WRONG, "No module named 'pyxrt'", "xrt_setup.sh")
