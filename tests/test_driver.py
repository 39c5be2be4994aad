"""The driver of the engine, bound by pynq."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from virtual import NO_PYNQ, script, small_images, small_network

from pynq_cnn.backends.overlay import OverlayBackend
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.compiler import Hardware, Program, compile_network
from pynq_cnn.compiler.instructions import Opcode
from pynq_cnn.errors import DeviceError
from pynq_cnn.virtual_board import VirtualBoard

pynq = pytest.importorskip("pynq", reason=NO_PYNQ)


def engine(board: VirtualBoard) -> Any:
    from pynq_cnn.backends.overlay import driver

    found = pynq.Overlay(board.bitfile, device=board.device).pynq_cnn_engine_0
    assert type(found) is driver.EngineDriver
    return found


def execute(found: Any, program: Program, address: int) -> None:
    """A run of one image."""
    found.start(program, address, 0, 1)
    found.wait(time.monotonic() + 1.0, 1.0)
    found.check(program)


def test_identifies_without_memory(board: VirtualBoard) -> None:
    identity = engine(board).identify(1.0)
    assert identity.hardware == Hardware() and board.memory.used == 0


def test_offsets_come_from_the_hand_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every argument somewhere else than Vitis HLS would put it."""
    generator = script("overlays/make_hwh.py")
    plain = generator.registers()
    control, arguments = plain[:4], plain[4:]
    moved = [
        generator.Register(r.name, 0x200 + 8 * i, r.access, r.description, r.fields)
        for i, r in enumerate(reversed(arguments))
    ]
    monkeypatch.setattr(generator, "registers", lambda: (*control, *moved))
    hwh = tmp_path / "moved.hwh"
    hwh.write_text(generator.make(), encoding="utf-8")
    network = small_network()
    with VirtualBoard(hwh=hwh) as board, OverlayBackend(network, 2, board.bitfile, board.device) as backend:
        images = small_images(3)
        np.testing.assert_array_equal(backend.run(images), ReferenceBackend(network).run(images))


def test_done_that_somebody_else_took_is_no_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    """Showing the register map in a notebook clears "done"."""
    with VirtualBoard(busy_reads=0) as board:
        found, read = engine(board), board.device.read_registers
        monkeypatch.setattr(
            board.device, "read_registers", lambda address, length: (read(address, length), read(address, length))[1]
        )
        assert found.identify(0.05).hardware == Hardware()


def test_waits_as_long_as_the_engine_is_busy() -> None:
    with VirtualBoard(busy_reads=40) as board:
        assert engine(board).identify(10.0).hardware == Hardware()


def test_busy_engine_is_not_started(board: VirtualBoard) -> None:
    found = engine(board)
    board.faults.never_done = True
    with pytest.raises(DeviceError, match="did not finish within 0.01 s"):
        found.identify(0.01)
    assert not found.settled(0.0)
    board.faults.never_done = False
    with pytest.raises(DeviceError, match="still busy.*CTRL=0x1"):
        found.identify(0.01)


def test_status_is_decoded_with_the_layer(board: VirtualBoard) -> None:
    found = engine(board)
    program = compile_network(small_network(), capacity=1)
    buffer = pynq.allocate(program.memory_words, "u8", target=board.device)
    buffer[: len(program.constants)] = program.constants
    octets = buffer.view(np.ndarray).view(np.uint8)
    last = [number for number, one in enumerate(program.decode()) if one.opcode is Opcode.COMPUTE][-1]
    octets[128 * last + 1] = 200  # its unit
    buffer.flush()
    told = rf"status 2 \(field out of range\) at instruction {last}, fc \(status=0x2, failed_at={last:#x}"
    with pytest.raises(DeviceError, match=told):
        execute(found, program, buffer.device_address)
    buffer.freebuffer()
    with pytest.raises(DeviceError, match="bus error.*at 0x923456788 are not contiguous memory in use"):
        execute(found, program, 0x9_2345_6788)  # both halves arrive
