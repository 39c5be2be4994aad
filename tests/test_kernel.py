"""The kernel's source against the reference: the same int32 accumulators for every network and image."""

from __future__ import annotations

import threading
from contextlib import ExitStack, suppress
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from kernels import engine_of, small_engine
from strategies import binary_networks, graphs, networks, random_images
from test_network import NETWORK

from pynq_cnn.backends.kernel import KernelBackend
from pynq_cnn.backends.kernel.native import PHASES, Engine, load_engine
from pynq_cnn.backends.overlay import OverlayBackend
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.compiler import ISA_VERSION, MAGIC, Hardware, compile_network
from pynq_cnn.compiler.instructions import INSTRUCTION_WORDS, RECORDS, Opcode
from pynq_cnn.errors import BackendError, CompileError
from pynq_cnn.model import Conv2d, Dense, InputSpec, Network, OutputSpec, Requantisation
from pynq_cnn.virtual_board import VirtualBoard

ANY = networks() | binary_networks() | graphs()


def agree(network: Network, n: int, seed: int, batch: int, engine: Engine | None = None) -> None:
    """The kernel gives what the reference gives, and counts the cycles that the compiler says."""
    try:
        backend = KernelBackend(network, batch, engine=engine)
    except CompileError as error:
        event(f"refused: {str(error).split(': ')[1][:40]}")
        return
    images = random_images(network, n, seed)
    assert np.array_equal(backend.run(images), ReferenceBackend(network).run(images))
    backend.run(random_images(network, batch, seed))
    assert backend.last_cycles.sum() == backend.program.cycles
    event(f"sections: {min(backend.program.sections, 6)}")


@pytest.mark.once
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(ANY, st.integers(1, 9), st.integers(0, 2**16), st.integers(1, 5))
def test_kernel_equals_reference(network, n, seed, batch):
    agree(network, n, seed, batch)


@pytest.mark.once
@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@given(ANY, st.integers(1, 9), st.integers(0, 2**16), st.integers(1, 5))
def test_sections_tiles_and_passes(network, n, seed, batch):
    """The same on an engine whose memories are so small that layers are cut into row tiles and weight passes."""
    agree(network, n, seed, batch, small_engine())


@pytest.mark.once
@pytest.mark.parametrize(("pe", "simd"), [(8, 8), (8, 16), (16, 32), (32, 32)])
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(ANY, st.integers(1, 9), st.integers(0, 2**16), st.integers(1, 5))
def test_other_geometries(pe, simd, network, n, seed, batch):
    agree(network, n, seed, batch, engine_of(PE=pe, SIMD=simd))


@pytest.mark.slow
def test_twenty_thousand_random_networks():
    """No difference between reference and kernel, nor, on every twentieth, the overlay on a virtual board."""
    pynq_there = find_spec("pynq") is not None
    count = iter(range(1 << 30))
    with ExitStack() as stack:
        board = stack.enter_context(VirtualBoard()) if pynq_there else None

        @settings(max_examples=20_000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(ANY, st.integers(1, 9), st.integers(0, 2**16), st.integers(1, 20))
        def check(network, n, seed, batch):
            agree(network, n, seed, batch)
            if board is not None and next(count) % 20 == 0:
                with suppress(CompileError), overlay(network, batch, board) as backend:
                    images = random_images(network, n, seed)
                    assert np.array_equal(backend.run(images), ReferenceBackend(network).run(images))

        check()


def overlay(network: Network, batch: int, board: VirtualBoard) -> OverlayBackend:
    return OverlayBackend(network, batch, device=board.device, bitfile=board.bitfile)


def spread(n: int, fan_in: int) -> Requantisation:
    return Requantisation(
        np.full(n, max(1, int(2**24 / (127 * 40 * fan_in**0.5))), np.uint16), np.full(n, 16, np.uint8)
    )


@pytest.mark.once
def test_row_tiles_and_weight_passes_on_the_real_sizes():
    """A layer whose input, output and weights all exceed the chip: 160 x 160 x 16 in, 150 x 150 x 160 out, 11 x 11."""
    rng = np.random.default_rng(5)

    def conv(name, outputs, kernel, channels, **options):
        weight = rng.integers(-127, 128, (outputs, kernel, kernel, channels)).astype(np.int8)
        constants = spread(outputs, kernel * kernel * channels)
        return Conv2d(name, weight, np.zeros(outputs, np.int32), requantisation=constants, **options)

    layers = (
        conv("first", 16, 3, 3, padding=(1, 1)),
        conv("large", 160, 11, 16),
        conv("reduce", 8, 1, 160, stride=15),
        Dense("last", rng.integers(-127, 128, (10, 800)).astype(np.int8), np.zeros(10, np.int32)),
    )
    output = OutputSpec(np.ones(10, np.float32), np.zeros(10, np.float32))
    spec = InputSpec(160, 160, 3, "RGB", (0.5,) * 3, (0.5,) * 3)
    network = Network("large", spec, layers, output, tuple("0123456789"))
    backend = KernelBackend(network, 2)
    computing = [
        name
        for name, words in zip(backend.program.instruction_names, instructions_of(backend.program))
        if int(words[0]) & 0xFF == Opcode.COMPUTE
    ]
    assert computing.count("large") > 8, "row tiles, in several passes"
    images = random_images(network, 2, 0)
    assert np.array_equal(backend.run(images), ReferenceBackend(network, 1).run(images))


def instructions_of(program) -> np.ndarray:
    """uint64 [instructions, words] of slot 0."""
    return program.constants[: program.instructions * INSTRUCTION_WORDS].reshape(-1, INSTRUCTION_WORDS)


GUARD = np.uint64(0xA5A5A5A5A5A5A5A5)


def guarded(program) -> np.ndarray:
    """A memory with the Program at its start, and words behind its end that nothing may touch."""
    memory = np.full(program.memory_words + 4096, GUARD)
    memory[: len(program.constants)] = program.constants
    return memory


def raw(compiled, memory, **changes):
    """Run a Program on the engine with the registers as given, past the checks of the backend."""
    slot = compiled.slots[0]
    arguments = {"mem_words": compiled.memory_words, "entry": slot.entry, "sections": compiled.sections, "images": 1}
    return load_engine().run(memory.ctypes.data, **{**arguments, **changes})


def test_identity():
    run = load_engine().run(0, mem_words=0, entry=0, sections=0, images=0)
    assert (run.status, run.magic, run.isa_version) == (0, MAGIC, ISA_VERSION)
    assert Hardware.from_registers(run.geometry, run.buffers) == Hardware()
    assert run.build


@pytest.mark.parametrize(
    ("opcode", "field", "value", "status"),
    [
        (Opcode.SECTION, "opcode", 0, 1),
        (Opcode.SECTION, "body", 0, 2),
        (Opcode.SECTION, "group", 0, 2),
        (Opcode.SECTION, "body", 60_000, 4),
        (Opcode.LOAD, "opcode", 9, 1),
        (Opcode.LOAD, "memory", 5, 2),
        (Opcode.LOAD, "words", 0, 2),
        (Opcode.LOAD, "words", 2**32 - 1, 4),
        (Opcode.LOAD, "run", 0, 2),
        (Opcode.LOAD, "bursts", 0, 2),
        (Opcode.LOAD, "address", 2**32 - 1, 4),
        (Opcode.STORE, "memory", 1, 2),
        (Opcode.STORE, "address", 10**6, 4),
        (Opcode.COMPUTE, "unit", 6, 2),
        (Opcode.COMPUTE, "rows", 0, 2),
        (Opcode.COMPUTE, "cols", 0, 2),
        (Opcode.COMPUTE, "groups", 0, 2),
        (Opcode.COMPUTE, "chunks", 0, 2),
        (Opcode.COMPUTE, "pool_rows", 0, 2),
        (Opcode.COMPUTE, "kernel_cols", 0, 2),
        (Opcode.COMPUTE, "iterations", 0, 2),
    ],
)
def test_a_damaged_instruction_stops_the_engine(opcode, field, value, status):
    """Each is refused with its status and the instruction's number, and nothing past the Program's end is touched."""
    program = compile_network(NETWORK, capacity=2)
    memory = guarded(program)
    at = [int(words[0]) & 0xFF for words in instructions_of(program)].index(opcode)
    memory[at * INSTRUCTION_WORDS : (at + 1) * INSTRUCTION_WORDS].view(RECORDS[opcode])[field] = value
    run = raw(program, memory)
    assert (run.status, run.failed_at) == (status, at)
    assert (memory[program.memory_words :] == GUARD).all()


@pytest.mark.once
@settings(max_examples=300)
@given(st.data())
def test_damaged_programs_touch_nothing_outside(data):
    """Any bits of any instruction: the engine stops or computes nonsense, in its own memory and in bounded time."""
    program = compile_network(NETWORK, capacity=2)
    memory = guarded(program)
    words = program.instructions * INSTRUCTION_WORDS
    for _ in range(data.draw(st.integers(1, 4))):
        word, bit = data.draw(st.integers(0, words - 1)), data.draw(st.integers(0, 63))
        if word % INSTRUCTION_WORDS == 2 and bit >= 20:
            continue  # how often the loop of a COMPUTE runs: up to 2^32 cycles, which here takes minutes
        memory[word] ^= np.uint64(1 << bit)
    run = raw(program, memory)
    event(f"status {run.status}")
    assert run.status in (0, 1, 2, 4)
    assert (memory[program.memory_words :] == GUARD).all()


def test_a_memory_that_ends_early_is_status_4():
    program = compile_network(NETWORK, capacity=1)
    memory = np.zeros(program.memory_words, np.uint64)
    memory[: len(program.constants)] = program.constants
    assert raw(program, memory).status == 0
    for words in range(0, program.slots[0].input_address, 7):
        assert raw(program, memory, mem_words=words).status == 4
    assert raw(program, memory, entry=program.memory_words).status == 4
    assert raw(program, memory, images=2**32 - 1).status == 2


def test_weights_are_loaded_once_for_a_batch():
    phase = PHASES.index("load_weights")
    one, many = KernelBackend(NETWORK, 1), KernelBackend(NETWORK, 64)
    one.run(np.zeros((1, 8, 8, 1), np.uint8))
    many.run(np.zeros((64, 8, 8, 1), np.uint8))
    assert one.last_cycles[:, phase].sum() == many.last_cycles[:, phase].sum()


def test_threads_have_engines_of_their_own():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (200, 8, 8, 1), dtype=np.uint8)
    expected = ReferenceBackend(NETWORK).run(images)
    backend = KernelBackend(NETWORK, 8)  # one shared by all threads, and one each
    results = {}

    def work(i):
        own = KernelBackend(NETWORK, 1 + i)
        results[i] = (own.run(images), backend.run(images))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(r, expected) for pair in results.values() for r in pair) and len(results) == 6


def test_a_library_that_is_none(tmp_path):
    path = tmp_path / "_engine.so"
    path.write_bytes(b"not a library")
    with pytest.raises(BackendError, match="cannot be loaded"):
        Engine(path)


def test_no_compiled_kernel_says_what_to_install(monkeypatch):
    from pynq_cnn.backends import compiled

    monkeypatch.setattr(compiled, "EXTENSION_SUFFIXES", [".none"])
    load_engine.cache_clear()
    try:
        with pytest.raises(BackendError, match=r"g\+\+.*backend='reference'"):
            KernelBackend(NETWORK)
    finally:
        load_engine.cache_clear()
