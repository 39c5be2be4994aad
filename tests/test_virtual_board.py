"""The virtual board, under the unmodified pynq library."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import numpy as np
import pytest
from virtual import NO_PYNQ

from pynq_cnn.errors import ArgumentError
from pynq_cnn.virtual_board import VirtualBoard
from pynq_cnn.virtual_board.memory import PAGE
from pynq_cnn.virtual_board.registers import AP_IDLE

pynq = pytest.importorskip("pynq", reason=NO_PYNQ)


def test_plain_pynq_code_runs() -> None:
    with VirtualBoard() as board:
        overlay = pynq.Overlay(board.bitfile, device=board.device)
        assert overlay.is_loaded()
        registers = overlay.pynq_cnn_engine_0.register_map
        assert registers.CTRL.AP_IDLE == 1
        registers.sections = 0
        registers.CTRL.AP_START = 1
        assert registers.CTRL.AP_DONE == 0  # busy
        assert registers.CTRL.AP_DONE == 1
        assert int(registers.magic) == 0x4E4E4350
        assert registers.magic_ctrl.magic_ap_vld == 1


def test_buffers_are_pynq_buffers_whose_views_flush_their_own_part() -> None:
    with VirtualBoard() as board, pynq.allocate((4, 8), "u8", target=board.device) as buffer:
        assert isinstance(buffer, pynq.buffer.PynqBuffer) and buffer.shape == (4, 8) and buffer.dtype == np.uint64
        device = board.memory.device(buffer.device_address, buffer.nbytes).view(np.uint64).reshape(4, 8)
        buffer[:] = np.arange(32).reshape(4, 8)
        buffer[2].flush()
        assert (device[2] == buffer[2]).all() and (device[[0, 1, 3]] != buffer[[0, 1, 3]]).all()
        device[1] = 99
        buffer[1].invalidate()
        assert (buffer[1] == 99).all() and (buffer[0] == np.arange(8)).all()
        assert buffer[1].device_address == buffer.device_address + 64


@pytest.mark.once
def test_buffers_are_freed_once_by_hand_or_by_nobody_holding_them() -> None:
    with VirtualBoard() as board:
        buffer = pynq.allocate(1000, "u4", target=board.device)
        assert board.memory.used == PAGE
        buffer.freebuffer()
        assert board.memory.used == 0
        buffer.freebuffer()
        del buffer
        other = pynq.allocate(1000, "u4", target=board.device)
        view = other[10:]
        del other
        gc.collect()
        assert board.memory.used == PAGE, "a view keeps its buffer"
        del view
        gc.collect()
        assert board.memory.used == 0


def test_contiguous_memory_runs_out() -> None:
    with VirtualBoard(contiguous_bytes=4 * PAGE) as board:
        held = pynq.allocate(3 * PAGE, "u1", target=board.device)
        with pytest.raises(RuntimeError, match="Allocate failed"):
            pynq.allocate(2 * PAGE, "u1", target=board.device)
        held.freebuffer()
        pynq.allocate(4 * PAGE, "u1", target=board.device).freebuffer()
        board.faults.no_memory = True
        with pytest.raises(RuntimeError, match="Allocate failed"):
            pynq.allocate(1, "u1", target=board.device)


def test_an_address_where_nothing_is_is_a_bus_error() -> None:
    with VirtualBoard() as board:
        mmio = pynq.MMIO(0x7000_0000, 0x100, device=board.device)
        with pytest.raises(OSError, match="0x70000000"):
            mmio.read(0)  # nothing is loaded yet
        pynq.Overlay(board.bitfile, device=board.device)
        assert mmio.read(0) == AP_IDLE
        with pytest.raises(OSError, match="0x50000004"):
            pynq.MMIO(0x5000_0000, 8, device=board.device).write(4, 1)
    with pytest.raises(OSError, match="0x70000000"):
        mmio.read(0)  # switched off


def test_engine_outside_its_memory_is_a_bus_error() -> None:
    with VirtualBoard() as board:
        engine = pynq.Overlay(board.bitfile, device=board.device).pynq_cnn_engine_0
        registers = engine.register_map
        for address, message in ((0x1000, "not contiguous memory"), (board.memory.base + 4, "not aligned")):
            registers.memory_1 = address
            registers.mem_words = registers.sections = 16
            registers.CTRL.AP_START = 1
            with pytest.raises(OSError, match=message):
                registers.CTRL.AP_DONE  # noqa: B018
            pynq.Overlay(board.bitfile, device=board.device)  # the hung engine starts anew
            assert registers.CTRL.AP_IDLE == 1


def test_clocks_are_the_boards_and_pynq_is_left_as_it_was() -> None:
    before = dict(vars(pynq.Clocks)), dict(vars(pynq.Device))
    first, second = VirtualBoard(), VirtualBoard()
    assert pynq.Clocks.fclk0_mhz == 100 and pynq.Clocks.cpu_mhz == 650
    pynq.Clocks.fclk0_mhz = 50
    assert pynq.Clocks.fclk0_mhz == 50
    second.close()
    assert pynq.Clocks.fclk0_mhz == 100, "the first board's clock was not touched"
    third = VirtualBoard()
    first.close()
    assert pynq.Clocks.fclk0_mhz == 100
    pynq.Overlay(third.bitfile, device=third.device)
    third.close()
    third.close()
    assert (dict(vars(pynq.Clocks)), dict(vars(pynq.Device))) == before


def test_boards_are_apart() -> None:
    with VirtualBoard() as first, VirtualBoard() as second:
        assert first.device.tag != second.device.tag and first.bitfile != second.bitfile
        pynq.Overlay(first.bitfile, device=first.device)
        with pytest.raises(OSError, match="Bus error"):
            pynq.MMIO(0x7000_0000, 4, device=second.device).read()
        a = pynq.allocate(4, "u4", target=first.device)
        b = pynq.allocate(4, "u4", target=second.device)
        assert a.device_address == b.device_address
        a[:] = 1
        a.flush()
        b.invalidate()
        assert not (b == 1).any()


def test_bitstream_is_a_placeholder_that_says_so() -> None:
    with VirtualBoard() as board:
        bitfile = Path(board.bitfile)
        assert b"not a bitstream" in bitfile.read_bytes()
        assert bitfile.with_suffix(".hwh").is_file()
    assert not bitfile.parent.exists()


def test_partial_and_broken_bitstreams_are_refused() -> None:
    with VirtualBoard() as board:
        with pytest.raises(RuntimeError, match="partial"):
            board.device.get_bitfile_metadata(board.bitfile, partial=True)
        with pytest.raises(RuntimeError, match="hwh"):
            pynq.Bitstream(board.bitfile, device=board.device).download()
        os.unlink(Path(board.bitfile).with_suffix(".hwh"))
        with pytest.raises(RuntimeError, match="pynq_cnn.hwh"):
            pynq.Overlay(board.bitfile, device=board.device)


@pytest.mark.parametrize(
    "wrong", [{"busy_reads": -1}, {"busy_reads": 1.5}, {"contiguous_bytes": 1000}, {"hwh": "nowhere.hwh"}]
)
def test_arguments_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(ArgumentError):
        VirtualBoard(**wrong)  # type: ignore[arg-type]
