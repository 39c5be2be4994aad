"""The closer of the two virtual boards: pynq's own device class, and this package's driver on it."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from embedded import ENGINE, LOAD, add_other_overlay, command, output_of, wait_until
from virtual import ALIGNED, NO_PYNQ, NOT_ALIGNED, small_images, small_network

from pynq_cnn import Classifier
from pynq_cnn.backends.overlay import OverlayBackend
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import ArgumentError, BackendError, DeviceError
from pynq_cnn.virtual_board.embedded import EmbeddedBoard
from pynq_cnn.virtual_board.embedded.bitfile import Block, read_binfile, write_bitfile
from pynq_cnn.virtual_board.embedded.xclbinutil import main as xclbinutil
from pynq_cnn.virtual_board.memory import FREED, PAGE
from pynq_cnn.virtual_board.registers import AP_DONE, AP_IDLE, AP_READY, AP_START

pynq = pytest.importorskip("pynq", reason=NO_PYNQ)
pytestmark = pytest.mark.skipif(not ALIGNED, reason=NOT_ALIGNED)

IS_3_0 = pynq.__version__.startswith("3.0")
AFI = 0xF800_8000


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pynq 3.1 leaves a loaded.xclbin in the current folder."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.once
def test_plain_pynq_code_runs_on_the_device_that_pynq_finds(embedded_board: EmbeddedBoard) -> None:
    device = pynq.Device.active_device
    assert (
        type(device) is sys.modules["pynq.pl_server.embedded_device"].EmbeddedDevice and device is embedded_board.device
    )
    assert (device.name, device.tag) == ("Pynq-Z2", "embedded_xrt0")
    state = embedded_board.folder / "sys/class/fpga_manager/fpga0/state"
    assert state.read_text() == "unknown\n"
    overlay = pynq.Overlay(embedded_board.bitfile)
    assert overlay.is_loaded() and state.read_text() == "operating\n" and embedded_board.loads == ["pynq_cnn.bin"]
    registers = overlay.pynq_cnn_engine_0.register_map
    registers.sections = 0
    registers.CTRL.AP_START = 1
    while not registers.CTRL.AP_IDLE:
        pass
    assert int(registers.magic) == 0x4E4E4350
    pynq.Clocks.fclk0_mhz = 50
    assert pynq.Clocks.fclk0_mhz == 50 and pynq.Clocks.cpu_mhz == 650
    with pynq.allocate((4, 8), "u8") as buffer:
        assert isinstance(buffer, pynq.buffer.PynqBuffer) and buffer.device is device and embedded_board.memory.used > 0


@pytest.mark.once
def test_registers_behave_as_hls_makes_them(embedded_board: EmbeddedBoard) -> None:
    overlay = pynq.Overlay(embedded_board.bitfile)
    engine = overlay.pynq_cnn_engine_0
    offsets = {
        name: about["address_offset"] for name, about in overlay.ip_dict["pynq_cnn_engine_0"]["registers"].items()
    }
    assert engine.read(0) == AP_IDLE
    engine.write(offsets["IP_IER"], 0xFF)
    engine.write(offsets["GIER"], 0xFF)
    engine.write(offsets["magic"], 7)
    engine.write(0xFF0, 7)
    assert [engine.read(at) for at in (offsets["IP_IER"], offsets["GIER"], offsets["magic"], 0xFF0)] == [3, 1, 0, 0]
    engine.write(0, AP_START | AP_IDLE)  # as a read, a changed bit and a write are
    while not (control := engine.read(0)) & AP_DONE:
        assert control == AP_START
    assert control == AP_DONE | AP_IDLE | AP_READY
    assert engine.read(0) == AP_IDLE, "done clears on read"
    assert (engine.read(offsets["magic_ctrl"]), engine.read(offsets["magic_ctrl"])) == (1, 0)
    assert engine.read(offsets["IP_ISR"]) == 3
    engine.write(offsets["IP_ISR"], 1)
    assert engine.read(offsets["IP_ISR"]) == 2
    engine.write(offsets["mem_words"], 123)
    assert engine.read(offsets["mem_words"]) == 123
    assert engine.mmio.array[0] == AP_IDLE and engine.mmio.array[-1] == 0
    with pytest.raises(IndexError):
        engine.mmio.array[1 << 20]


@pytest.mark.once
def test_an_address_where_nothing_is_is_a_bus_error(embedded_board: EmbeddedBoard) -> None:
    mmio = pynq.MMIO(ENGINE, 0x100)
    for use in (lambda: mmio.read(0), lambda: mmio.write(0, 1)):
        with pytest.raises(OSError, match=f"nothing answers at {ENGINE:#x}"):
            use()
    pynq.Overlay(embedded_board.bitfile)
    assert mmio.read(0) == AP_IDLE
    with pytest.raises(OSError, match="0x50000004"):
        pynq.MMIO(0x5000_0000, 8).read(4)


@pytest.mark.once
def test_driver_gives_the_references_results(embedded_board: EmbeddedBoard) -> None:
    network, images = small_network(), small_images(70)
    with OverlayBackend(network, batch=32) as backend:
        assert (backend.run(images) == ReferenceBackend(network).run(images)).all()


@pytest.mark.once
def test_classifier_takes_the_board(embedded_board: EmbeddedBoard) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)
    with Classifier("lenet") as classifier, Classifier("lenet", backend="reference") as reference:
        assert classifier.backend_name == "overlay"
        assert (classifier.logits(images) == reference.logits(images)).all()


@pytest.mark.once
def test_command_line_runs_on_the_board_from_another_process(embedded_board: EmbeddedBoard) -> None:
    assert "overlay" in output_of(embedded_board, "-m", "pynq_cnn", "selftest", anew=True)
    assert embedded_board.loads == ["pynq_cnn.bin"]


@pytest.mark.once
def test_device_sees_what_was_flushed_and_the_processor_what_was_invalidated(embedded_board: EmbeddedBoard) -> None:
    pynq.Overlay(embedded_board.bitfile)
    with pynq.allocate((4, 8), "u8") as buffer:
        device = embedded_board.memory.device(buffer.device_address, buffer.nbytes).view(np.uint64).reshape(4, 8)
        buffer[:] = np.arange(32).reshape(4, 8)
        assert (device != buffer).all()
        buffer[2].flush()
        assert (device[2] == buffer[2]).all()
        assert (device[1] != buffer[1]).all() == IS_3_0, (
            "pynq 3.1 flushes the whole buffer, whichever part is asked for"
        )
        device[1] = 99
        buffer[1].invalidate()
        assert (buffer[1] == 99).all()
        assert buffer[1].device_address == buffer.device_address + 64
        address = buffer.device_address
    assert (embedded_board.memory.physical(address, 256) == FREED).all()


@pytest.mark.once
def test_buffers_are_freed_by_hand_or_by_nobody_holding_them(embedded_board: EmbeddedBoard) -> None:
    pynq.Overlay(embedded_board.bitfile)
    first = pynq.allocate(3 * PAGE, "u1")
    second = pynq.allocate(3 * PAGE, "u1")
    assert embedded_board.memory.used == 6 * PAGE and second.device_address == first.device_address + 3 * PAGE
    first.freebuffer()
    first.freebuffer()
    assert embedded_board.memory.used == 3 * PAGE
    del second
    gc.collect()
    assert embedded_board.memory.used == 0


def test_contiguous_memory_runs_out() -> None:
    with EmbeddedBoard(contiguous_bytes=8 * PAGE) as board:
        pynq.Overlay(board.bitfile)
        for count, no_memory in ((9 * PAGE, False), (1, True)):
            board.faults.no_memory = no_memory
            with pytest.raises(RuntimeError, match="Allocate failed: 4294967295" if IS_3_0 else "BO allocation failed"):
                pynq.allocate(count, "u1")
        board.faults.no_memory = False
        pynq.allocate(8 * PAGE, "u1").freebuffer()


# XRT is not there: what pynq says.


def test_xrt_not_sourced() -> None:
    with EmbeddedBoard(xrt="not sourced") as board:
        sentence = "No devices found, is the XRT environment sourced?"
        with (
            pytest.warns(UserWarning, match=re.escape(sentence)),
            pytest.raises(RuntimeError, match="^No Devices Found$"),
        ):
            board.device  # noqa: B018
        with pytest.raises(RuntimeError, match="^No Devices Found$"):
            board.device  # noqa: B018


def test_xrt_not_loaded() -> None:
    with EmbeddedBoard(xrt="not loaded") as board:
        kind, text = (
            (AttributeError, "'NoneType' object has no attribute 'xclOpen'")
            if IS_3_0
            else (NameError, "'pyxrt' is not defined")
        )
        with pytest.raises(kind, match=text):
            board.device  # noqa: B018
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # XILINX_XRT is set: pynq has nothing to say
            with pytest.raises(RuntimeError, match="^No Devices Found$"):
                board.device  # noqa: B018


@pytest.mark.once
def test_xrt_missing(embedded_board: EmbeddedBoard) -> None:
    code = "try:\n    import pynq\nexcept Exception as error:\n    print(type(error).__name__, error)"
    said = output_of(embedded_board, "--xrt", "missing", "-c", code, anew=True).strip()
    if IS_3_0:
        file = f"{embedded_board.folder}/usr/lib/libxrt_core.so"
        assert said == f"OSError {file}: cannot open shared object file: No such file or directory"
    else:
        assert said == "ModuleNotFoundError No module named 'pyxrt'"


# A user who may not do something, or does not have it.


def test_not_root() -> None:
    with EmbeddedBoard(root=False) as board:
        with pytest.raises(OSError, match="^Root permissions required.$"):
            pynq.Overlay(board.bitfile)
        bitstream = pynq.Bitstream(board.bitfile)
        with pytest.raises(PermissionError, match="/sys/class/fpga_manager/fpga0/flags"):
            bitstream.download()
        with pytest.raises(DeviceError, match=r"Root permissions required.*be root, as Jupyter is \(sudo -i\)"):
            OverlayBackend(small_network())
        assert board.loads == []


def test_without_a_bitstream() -> None:
    with EmbeddedBoard(bitstream=False) as board:
        assert board.device.tag == "embedded_xrt0"
        with pytest.raises(BackendError, match="there is no bitstream"):
            OverlayBackend(small_network())
        with OverlayBackend(small_network(), bitfile=board.bitfile) as backend:
            assert backend.run(small_images(1)).shape == (1, 5)


# Somebody else.


@pytest.mark.once
def test_another_process_loads_another_overlay(embedded_board: EmbeddedBoard) -> None:
    global_state = sys.modules["pynq.pl_server.global_state"]
    mine = pynq.Overlay(embedded_board.bitfile)
    assert global_state.load_global_state().bitfile_name == embedded_board.bitfile
    other = add_other_overlay(embedded_board)
    output_of(embedded_board, "-c", LOAD, other)
    assert embedded_board.loads == ["pynq_cnn.bin", "base.bin"]
    assert global_state.load_global_state().bitfile_name == other
    assert mine.is_loaded(), "pynq does not notice"
    mmio = pynq.MMIO(ENGINE, 0x100)
    mmio.write(0, AP_START)
    assert mmio.read(0) == AP_START, "no engine answers: what is written stays"


@pytest.mark.once
def test_processes_share_contiguous_memory_and_the_dead_leave_it(embedded_board: EmbeddedBoard) -> None:
    pynq.Overlay(embedded_board.bitfile)
    code = """
import sys, time, pynq
buffer = pynq.allocate(1 << 20, "u1")  # by the global state of the process that has loaded the overlay
print(buffer.device_address, flush=True)
time.sleep(600)
"""
    program = command(embedded_board, "-c", code)
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as other, pynq.allocate(1 << 20, "u1") as mine:
        assert other.stdout is not None
        theirs = int(other.stdout.readline())
        assert abs(theirs - mine.device_address) >= 1 << 20 and embedded_board.memory.used == 2 << 20
        other.kill()
        other.wait()
        assert embedded_board.memory.used == 1 << 20


@pytest.mark.once
def test_engine_runs_for_another_process(embedded_board: EmbeddedBoard) -> None:
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from virtual import small_images, small_network
from pynq_cnn.backends.overlay import OverlayBackend
with OverlayBackend(small_network()) as backend:
    print(backend.run(small_images(4)).tolist())
"""
    assert output_of(embedded_board, "-c", code).strip() == str(
        ReferenceBackend(small_network()).run(small_images(4)).tolist()
    )
    assert embedded_board.memory.used == 0


@pytest.mark.once
@pytest.mark.filterwarnings("ignore:.*overlay.*")  # that the user's overlay is replaced may be said
def test_users_overlay_before_and_after(embedded_board: EmbeddedBoard) -> None:
    network, images = small_network(), small_images(4)
    expected = ReferenceBackend(network).run(images)
    users = pynq.Overlay(add_other_overlay(embedded_board))
    assert users.ip_dict["audio_codec_ctrl_0"]["type"].startswith("xilinx.com:user:audio_codec_ctrl")
    with OverlayBackend(network) as backend:
        assert (backend.run(images) == expected).all() and not users.is_loaded()
        users.download()
        assert users.is_loaded() and (backend.run(images) == expected).all()
    assert embedded_board.loads == ["base.bin", "pynq_cnn.bin", "base.bin", "pynq_cnn.bin"]


# Faults in the logic.


@pytest.mark.once
def test_refused_bitstreams(embedded_board: EmbeddedBoard) -> None:
    state = embedded_board.folder / "sys/class/fpga_manager/fpga0/state"
    whole = Path(embedded_board.bitfile).read_bytes()
    Path(embedded_board.bitfile).write_bytes(whole.replace(bytes.fromhex("aa995566"), bytes(4)))
    with pytest.raises(OSError, match="no sync word"):
        pynq.Overlay(embedded_board.bitfile)
    assert state.read_text() == "write init error\n" and embedded_board.loads == []
    Path(embedded_board.bitfile).write_bytes(whole[:-4])
    with pytest.raises(RuntimeError, match="Invalid length found"):
        pynq.Overlay(embedded_board.bitfile)
    Path(embedded_board.bitfile).write_bytes(whole)
    embedded_board.faults.no_download = True
    with pytest.raises(DeviceError, match="fpga_manager: write failed"):
        OverlayBackend(small_network())
    embedded_board.faults.no_download = False
    with OverlayBackend(small_network()) as backend:
        backend.run(small_images(1))


@pytest.mark.once
def test_engine_that_never_finishes_is_reset_by_loading(embedded_board: EmbeddedBoard) -> None:
    network, images = small_network(), small_images(2)
    with OverlayBackend(network, timeout=0.2) as backend:
        embedded_board.faults.never_done = True
        with pytest.raises(DeviceError, match="did not finish within"):
            backend.run(images)
        embedded_board.faults.never_done = False
        assert pynq.MMIO(ENGINE, 4).read(0) == AP_START, "still hung"
        assert (backend.run(images) == ReferenceBackend(network).run(images)).all()


@pytest.mark.once
def test_identity_and_narrow_ports(embedded_board: EmbeddedBoard) -> None:
    embedded_board.faults.identity = {"isa_version": 99}
    with pytest.raises(DeviceError, match="99"):
        OverlayBackend(small_network())
    embedded_board.faults.identity = {}
    pynq.MMIO(AFI, 0x1000).write(0, 1)  # 32 bits wide, as the boot loader may leave it
    with OverlayBackend(small_network()) as backend:
        assert (backend.run(small_images(2)) == ReferenceBackend(small_network()).run(small_images(2))).all()
    assert pynq.MMIO(AFI, 0x1000).read(0) == 0


def test_what_would_destroy_something_is_complained_of() -> None:
    with EmbeddedBoard() as board:
        overlay = pynq.Overlay(board.bitfile)
        registers = overlay.pynq_cnn_engine_0.register_map
        registers.memory_1 = 0x1000
        registers.mem_words = registers.sections = 16
        registers.CTRL.AP_START = 1
        wait_until(lambda: board.complaints != [])
        assert registers.CTRL.AP_IDLE == 0 and "not contiguous memory in use" in board.complaints[0]
        overlay.download()
        board.engine.run_seconds = 600.0
        registers.sections = 0
        registers.CTRL.AP_START = 1
        wait_until(lambda: not board.engine.at_rest)
        overlay.download()  # ends the run
        assert board.complaints[1:] == ["pynq_cnn.bin was loaded while the engine was working on memory"]
        assert registers.CTRL.AP_IDLE == 1
        registers.CTRL.AP_START = 1
        wait_until(lambda: not board.engine.at_rest)
        assert registers.CTRL.AP_IDLE == 0
        board.engine.end_run()
        wait_until(lambda: bool(registers.CTRL.AP_IDLE == 1))
        board.engine.run_seconds = 600.0
        registers.CTRL.AP_START = 1  # and closing ends this one


# The pieces.


def test_bitfile_is_what_pynq_expects(tmp_path: Path) -> None:
    with EmbeddedBoard():
        embedded_device = sys.modules["pynq.pl_server.embedded_device"]
        blocks = [Block("ip", "a:b:c:1.0", ENGINE, 0x10000, {"CTRL": 0})]
        write_bitfile(tmp_path / "x.bit", blocks)
        header = embedded_device.parse_bit_header((tmp_path / "x.bit").read_bytes())
        assert header["part"] == "7z020clg400" and header["design"] == "x" and "no bitstream" in header["version"]
        assert read_binfile(embedded_device.bit2bin((tmp_path / "x.bit").read_bytes())) == blocks
        with pytest.raises(OSError, match="no sync word"):
            read_binfile(header["data"])  # not swapped
        with pytest.raises(OSError, match="whole words"):
            read_binfile(b"odd")
        with pytest.raises(OSError, match="only bitstreams that it has written"):
            read_binfile(bytes.fromhex("665599aa") + b"real")


def test_xclbinutil_says_what_it_cannot_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert xclbinutil(["--info"]) == 1 and "--info" in capsys.readouterr().out
    assert xclbinutil([]) == 1 and "--output" in capsys.readouterr().out


def test_pynq_is_left_as_it_was() -> None:
    import pynq.pl_server.device

    def everything() -> dict[str, Any]:
        names = ("embedded_device", "xrt_device", "global_state", "device")
        owners = [sys.modules[f"pynq.pl_server.{name}"] for name in names if f"pynq.pl_server.{name}" in sys.modules]
        owners += [
            pynq.Device,
            pynq.Clocks,
            pynq.ps,
            pynq.pl,
            *owners[0].__dict__.get("EmbeddedDevice", pynq.Device).__mro__[:2],
        ]
        state = {f"{owner.__name__}.{name}": value for owner in owners for name, value in vars(owner).items()}
        return {**state, "environ": dict(os.environ), "known": dict(type(pynq.Device)._subclasses)}

    EmbeddedBoard().close()  # pynq's modules are imported at the first
    before = everything()
    for xrt in ("sourced", "not sourced", "not loaded"):
        board = EmbeddedBoard(xrt=xrt)
        if xrt == "sourced":
            pynq.Overlay(board.bitfile)
        board.close()
        board.close()
        assert everything() == before
        assert not board.folder.exists()
    with pytest.raises(RuntimeError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pynq.Device.active_device  # noqa: B018
    del pynq.Device._devices


@pytest.mark.once
def test_one_board_in_a_process(embedded_board: EmbeddedBoard) -> None:
    with pytest.raises(BackendError, match="close it first"):
        EmbeddedBoard()
    with pytest.raises(BackendError, match="close it first"):
        EmbeddedBoard.join(embedded_board.folder)
    assert pynq.Device.active_device.tag == "embedded_xrt0"


@pytest.mark.once
def test_a_forked_child_does_not_switch_the_board_off(embedded_board: EmbeddedBoard) -> None:
    child = os.fork()
    if child == 0:
        embedded_board.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    pynq.Overlay(embedded_board.bitfile)


@pytest.mark.parametrize("wrong", [{"xrt": "maybe"}, {"contiguous_bytes": 1000}, {"hwh": "nowhere.hwh"}])
def test_arguments_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        EmbeddedBoard(**wrong)
    EmbeddedBoard().close()


def test_a_board_that_could_not_be_opened_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "broken.hwh").write_text("this is no XML")
    with pytest.raises(Exception, match="."):
        EmbeddedBoard(hwh=tmp_path / "broken.hwh")
    assert [path.name for path in tmp_path.iterdir()] == ["broken.hwh"]
    EmbeddedBoard().close()


def test_no_board_is_open() -> None:
    with pytest.raises(BackendError, match="no EmbeddedBoard is open"):
        EmbeddedBoard.of_this_process()


def test_joining_needs_an_open_board(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="not the folder of an EmbeddedBoard"):
        EmbeddedBoard.join(tmp_path)


@pytest.mark.once
def test_a_buffer_is_mapped_memory(embedded_board: EmbeddedBoard) -> None:
    piece = embedded_board.memory.allocate(100)
    piece.host[:] = 5
    address = embedded_board.memory.map(piece)
    assert ctypes.string_at(address, 100) == b"\x05" * 100
    embedded_board.memory.free(piece)
    assert ctypes.string_at(address, 1) == bytes([FREED])
    ctypes.CDLL(None).munmap(ctypes.c_void_p(address), ctypes.c_size_t(100))
