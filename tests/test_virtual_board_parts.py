"""The parts of the virtual board that need no pynq library: memory, registers, faults."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pynq_cnn.errors import ArgumentError
from pynq_cnn.virtual_board import Faults
from pynq_cnn.virtual_board.memory import FREED, FRESH, PAGE, Allocation, ContiguousMemory
from pynq_cnn.virtual_board.registers import AP_DONE, AP_IDLE, AP_READY, AP_START, KernelRegisters

# Memory.


def end(piece: Allocation) -> int:
    return piece.address + -(-piece.nbytes // PAGE) * PAGE


@settings(max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 5 * PAGE)), max_size=40))
def test_allocations_never_overlap_and_fail_only_without_a_gap(steps: list[tuple[bool, int]]) -> None:
    memory = ContiguousMemory(16 * PAGE)
    live: list[Allocation] = []
    for free, number in steps:
        live.sort(key=lambda piece: piece.address)
        gaps = np.array([*(p.address for p in live), memory.base + memory.nbytes]) - np.array(
            [memory.base, *map(end, live)]
        )
        assert gaps.min() >= 0 and memory.used == memory.nbytes - gaps.sum()
        if free and live:
            memory.free(live.pop(number % len(live)))
        elif gaps.max() >= number:
            live.append(memory.allocate(number))
            assert live[-1].address % PAGE == 0
        else:
            with pytest.raises(RuntimeError, match="Allocate failed"):
                memory.allocate(number)


def test_processor_and_device_see_two_memories() -> None:
    memory = ContiguousMemory(4 * PAGE)
    piece = memory.allocate(64)
    device = memory.device(piece.address, 64)
    assert set(device.tolist()) == set(piece.host.tolist()) == {FRESH}
    piece.host[:] = 1
    assert set(device.tolist()) == {FRESH}
    memory.flush(piece, 8, 16)
    assert device.tolist() == [FRESH] * 8 + [1] * 16 + [FRESH] * 40
    device[:] = 2
    assert set(piece.host.tolist()) == {1}
    memory.invalidate(piece, 0, 4)
    assert piece.host.tolist() == [2] * 4 + [1] * 60


def test_freed_memory_is_gone_on_both_sides() -> None:
    memory = ContiguousMemory(4 * PAGE)
    piece = memory.allocate(64)
    piece.host[:] = 1
    memory.free(piece)
    assert set(piece.host.tolist()) == {FREED}
    with pytest.raises(RuntimeError, match="Flush Failed.*freed"):
        memory.flush(piece, 0, 64)
    with pytest.raises(RuntimeError, match="Invalidate Failed.*freed"):
        memory.invalidate(piece, 0, 64)
    with pytest.raises(OSError, match="Bus error"):
        memory.device(piece.address, 64)


def test_device_memory_ends_with_its_allocation() -> None:
    memory = ContiguousMemory(4 * PAGE)
    piece = memory.allocate(PAGE)
    assert len(memory.device(piece.address + 8, PAGE - 8)) == PAGE - 8
    for address, nbytes in (
        (piece.address - 8, 16),
        (piece.address + 8, PAGE),
        (0, 8),
        (memory.base + memory.nbytes, 8),
    ):
        with pytest.raises(OSError, match=f"{address:#x}"):
            memory.device(address, nbytes)


@pytest.mark.parametrize("nbytes", [0, -PAGE, PAGE + 1, 1 << 40, 4096.0, True, None])
def test_memory_size_is_checked(nbytes: object) -> None:
    with pytest.raises(ArgumentError, match="contiguous memory"):
        ContiguousMemory(nbytes)  # type: ignore[arg-type]


# Registers.


def kernel_registers(
    results: dict[str, int] | None, busy_reads: int = 0
) -> tuple[KernelRegisters, dict[str, int], list[dict[str, int]]]:
    names = ("CTRL", "GIER", "IP_IER", "IP_ISR", "a", "b", "b_ctrl")
    offsets = {name: 4 * i for i, name in enumerate(names)}
    seen: list[dict[str, int]] = []

    def execute(inputs: dict[str, int]) -> dict[str, int] | None:
        seen.append(inputs)
        return results

    return (
        KernelRegisters({name: {"address_offset": at} for name, at in offsets.items()}, execute, busy_reads),
        offsets,
        seen,
    )


def test_kernel_is_idle_then_busy_then_done_once() -> None:
    block, at, seen = kernel_registers({"b": 5}, busy_reads=2)
    assert block.read(at["CTRL"]) == AP_IDLE
    block.write(at["a"], 7)
    block.write(at["CTRL"], AP_START)
    assert seen == [{"a": 7}]
    assert block.read(at["b"]) == 0, "outputs appear when the run is over"
    assert [block.read(at["CTRL"]) for _ in range(4)] == [AP_START, AP_START, AP_DONE | AP_IDLE | AP_READY, AP_IDLE]
    assert block.read(at["b"]) == 5


def test_kernel_ignores_a_start_while_busy_and_writes_to_outputs() -> None:
    block, at, seen = kernel_registers({"b": 5}, busy_reads=1)
    block.write(at["CTRL"], AP_START)
    block.write(at["CTRL"], AP_START)
    assert len(seen) == 1
    while not block.read(at["CTRL"]) & AP_DONE:
        pass
    for name in ("b", "b_ctrl"):
        block.write(at[name], 99)
    assert (block.read(at["b"]), block.read(at["b_ctrl"]), block.read(at["b_ctrl"])) == (5, 1, 0)
    block.write(0x100, 3)
    assert block.read(0x100) == 0


def test_interrupt_status_follows_its_enable_bits_and_toggles() -> None:
    block, at, _ = kernel_registers({"b": 5})
    block.write(at["CTRL"], AP_START)
    block.read(at["CTRL"])
    assert block.read(at["IP_ISR"]) == 0
    block.write(at["IP_IER"], 1)
    block.write(at["CTRL"], AP_START)
    block.read(at["CTRL"])
    assert block.read(at["IP_ISR"]) == 1
    block.write(at["IP_ISR"], 1)
    assert block.read(at["IP_ISR"]) == 0


def test_kernel_that_never_finishes_stays_busy() -> None:
    block, at, _ = kernel_registers(None)
    block.write(at["CTRL"], AP_START)
    assert {block.read(at["CTRL"]) for _ in range(100)} == {AP_START}


def test_identity_fault_takes_identity_registers_only() -> None:
    with pytest.raises(ArgumentError, match="status"):
        Faults(identity={"status": 1}).overrides()


# Imports.


def test_importing_needs_no_pynq(tmp_path: Path) -> None:
    """In a process of its own, as this one has pynq loaded."""
    program = """
import sys
import pynq_cnn, pynq_cnn.backends.overlay, pynq_cnn.virtual_board
assert not [name for name in sys.modules if name.partition(".")[0] in ("pynq", "pynqmetadata", "torch")]
sys.modules["pynq"] = None  # as if it were not installed
from pynq_cnn.errors import BackendError
from virtual import small_network
overlay = pynq_cnn.backends.overlay.OverlayBackend
for make in (pynq_cnn.virtual_board.VirtualBoard, lambda: overlay(small_network(), bitfile=sys.argv[1])):
    try:
        make()
    except BackendError as error:
        print(error)
"""
    for name in ("any.bit", "any.hwh"):
        (tmp_path / name).touch()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "any.bit")], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("pip install 'pynq_cnn[board]'") == 2


def test_a_flush_of_all_writes_back_the_lines_that_the_processor_has_changed_and_no_others() -> None:
    memory = ContiguousMemory(1 << 20)
    piece = memory.allocate(100)
    device = memory.device(piece.address, 100)
    device[:] = 1
    memory.invalidate(piece, 0, 100)
    piece.host[40] = 7
    device[:] = 2  # by the engine, meanwhile
    memory.flush_changed(piece)
    assert device.tolist() == [2] * 32 + [1] * 8 + [7] + [1] * 23 + [2] * 36, (
        "the changed line whole: what the engine wrote there is lost"
    )
    device[:] = 3
    memory.flush_changed(piece)
    assert (device == 3).all(), "what has been written back is clean"
    piece.host[99] = 8
    memory.flush_changed(piece)
    assert device[95:].tolist() == [3, *piece.host[96:]]
