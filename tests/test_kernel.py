"""The kernel's source against the reference: the same int32 accumulators for every network and image."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from kernels import small_engine
from strategies import networks, random_images
from test_network import NETWORK

from pynq_cnn.backends.kernel import KernelBackend
from pynq_cnn.backends.kernel.native import PHASES, Engine, load_engine
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.compiler import ISA_VERSION, MAGIC, Hardware, compile_network
from pynq_cnn.compiler.instructions import CONV
from pynq_cnn.errors import BackendError, CompileError
from pynq_cnn.model import Conv2d, Dense, InputSpec, MaxPool2d, Network, OutputSpec, Requantisation


@settings(max_examples=250)
@given(networks(), st.integers(1, 9), st.integers(0, 2**16), st.integers(1, 5))
def test_kernel_equals_reference(network, n, seed, batch):
    images = random_images(network, n, seed)
    assert np.array_equal(KernelBackend(network, batch).run(images), ReferenceBackend(network).run(images))


@settings(max_examples=250, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(networks(), st.integers(1, 9), st.integers(0, 2**16), st.integers(1, 5))
def test_tiles_passes_and_ring_wraps(network, n, seed, batch):
    """The same on an engine whose buffers are so small that layers are cut into row tiles and weight passes."""
    try:
        backend = KernelBackend(network, batch, engine=small_engine())
    except CompileError:
        event("does not fit")
        return
    records = backend.program.constants[: 8 * backend.program.instructions].view(CONV)
    event(f"row tiles: {bool((records['tile_rows'] < records['out_h']).any())}")
    event(f"passes: {bool((records['groups_per_pass'].astype(int) * 16 < records['out_c']).any())}")
    images = random_images(network, n, seed)
    assert np.array_equal(backend.run(images), ReferenceBackend(network).run(images))


@st.composite
def tall_layers(draw) -> Network:
    """A convolution and perhaps a pooling with few output rows, over an image of any height, and a dense layer
    behind.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    channels, height, width = draw(st.sampled_from([1, 3])), draw(st.integers(1, 200)), draw(st.integers(1, 100))
    kernel = [draw(st.integers(1, min(11, side))) for side in (height, width)]
    padding = [draw(st.integers(0, k - 1)) for k in kernel]
    pool = draw(st.integers(1, 3))
    conv_w = draw(st.integers(1, 12))
    rows = draw(st.integers(0, 3)) * pool  # 0: so large a step that there is one
    stride = [
        min(255, max(1, (side + 2 * p - k) // n)) if n else 255
        for side, p, k, n in zip((height, width), padding, kernel, (rows, conv_w))
    ]
    outputs = draw(st.integers(1, 5))
    zero_point = tuple(draw(st.integers(0, 255)) for _ in range(channels))
    weight = rng.integers(-127, 128, (outputs, *kernel, channels)).astype(np.int8)
    conv = Conv2d(
        "conv",
        weight,
        np.zeros(outputs, np.int32),
        tuple(stride),
        tuple(padding),
        spread(outputs, weight[0].size),
    )
    layers, shape = [conv], conv.output_shape((height, width, channels))
    if 1 < pool <= min(shape[:2]):
        layers.append(MaxPool2d("pool", pool, draw(st.integers(1, 3))))
        shape = layers[-1].output_shape(shape)
    layers.append(
        Dense("last", rng.integers(-127, 128, (3, int(np.prod(shape)))).astype(np.int8), np.zeros(3, np.int32))
    )
    spec = InputSpec(
        height,
        width,
        channels,
        "L" if channels == 1 else "RGB",
        (0.5,) * channels,
        (0.5,) * channels,
        zero_point=zero_point,
    )
    return Network(
        "tall", spec, tuple(layers), OutputSpec(np.ones(3, np.float32), np.zeros(3, np.float32)), ("a", "b", "c")
    )


def rows_of_the_hungriest(network: Network) -> int:
    """Most rows of the image that one output row of the first stage reads: from docs/contract/numerics.md, row by
    row.
    """
    conv, *others = network.layers
    pool = others[0] if isinstance(others[0], MaxPool2d) else MaxPool2d("none", 1, 1)
    out_h = network.nodes[-2].gives.shape[0]
    most = 0
    for row in range(out_h):
        taps = {
            (row * pool.stride[0] + i) * conv.stride[0] + j - conv.padding[0]
            for i in range(pool.size[0])
            for j in range(conv.kernel[0])
        }
        inside = [tap for tap in taps if 0 <= tap < network.input.height]
        most = max(most, max(inside) - min(inside) + 1)
    return most


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(tall_layers(), st.integers(1, 5), st.integers(0, 2**16), st.integers(1, 4))
def test_a_layer_fits_if_the_rows_of_one_output_row_do(network, n, seed, batch):
    """The rest of the image does not have to: an image with one output row was refused for rows that nothing reads, or
    for padding.
    """
    shapes = [node.gives.shape for node in network.nodes]
    row = rows_of_the_hungriest(network) * network.input.width * network.input.channels
    out = shapes[-2][1] * shapes[-2][2]
    fits = row + 32 <= 2048 and out + 32 <= 1024 and np.prod(shapes[-2]) + 32 <= 2048
    event(
        f"fits: {fits}, whole image: {np.prod(network.input_shape) + 32 <= 2048}, output rows: {min(3, shapes[-2][0])}"
    )
    if not fits:
        with pytest.raises(CompileError):
            KernelBackend(network, batch, engine=small_engine())
        return
    images = random_images(network, n, seed)
    backend = KernelBackend(network, batch, engine=small_engine())
    assert np.array_equal(backend.run(images), ReferenceBackend(network).run(images))


def spread(n: int, fan_in: int) -> Requantisation:
    return Requantisation(
        np.full(n, max(1, int(2**24 / (127 * 40 * fan_in**0.5))), np.uint16), np.full(n, 16, np.uint8)
    )


def test_row_tiles_and_weight_passes_on_the_real_sizes():
    """A layer whose input, output and weights all exceed the chip: 96 x 96 x 16 in, 88 x 88 x 160 out, 11 x 11 taps."""
    rng = np.random.default_rng(5)
    first = Conv2d(
        "first",
        rng.integers(-127, 128, (16, 3, 3, 3)).astype(np.int8),
        np.zeros(16, np.int32),
        (1, 1),
        (1, 1),
        spread(16, 27),
    )
    large = Conv2d(
        "large",
        rng.integers(-127, 128, (160, 11, 11, 16)).astype(np.int8),
        np.zeros(160, np.int32),
        (1, 1),
        (1, 1),
        spread(160, 1936),
    )
    reduce = Conv2d(
        "reduce",
        rng.integers(-127, 128, (8, 1, 1, 160)).astype(np.int8),
        np.zeros(8, np.int32),
        (8, 8),
        (0, 0),
        spread(8, 160),
    )
    last = Dense("last", rng.integers(-127, 128, (10, 8 * 121)).astype(np.int8), np.zeros(10, np.int32))
    output = OutputSpec(np.ones(10, np.float32), np.zeros(10, np.float32))
    network = Network(
        "large",
        InputSpec(96, 96, 3, "RGB", (0.5,) * 3, (0.5,) * 3),
        (first, large, reduce, last),
        output,
        tuple("0123456789"),
    )
    backend = KernelBackend(network, 2)
    records = backend.program.constants[:32].view(CONV)
    assert records["tile_rows"][1] < records["out_h"][1] and records["groups_per_pass"][1] * 16 < 160
    images = random_images(network, 2, 0)
    assert np.array_equal(backend.run(images), ReferenceBackend(network, 1).run(images))


def raw(compiled, memory, **changes):
    """Run a Program on the engine with the registers as given, past the checks of the backend."""
    arguments = dict(
        mem_words=compiled.memory_words, program=compiled.slots[0].program, instructions=compiled.instructions, images=1
    )
    arguments.update(changes)
    address = memory.ctypes.data
    return load_engine().run(address, address, address, **arguments)


def test_identity():
    run = load_engine().run(0, 0, 0, mem_words=0, program=0, instructions=0, images=0)
    assert (run.status, run.magic, run.isa_version) == (0, MAGIC, ISA_VERSION)
    assert Hardware.from_registers(run.geometry, run.buffers) == Hardware()
    assert run.build


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("opcode", 0, 1),
        ("opcode", 7, 1),
        ("kernel_h", 0, 2),
        ("kernel_w", 12, 2),
        ("stride_h", 0, 2),
        ("pad_w", 3, 2),
        ("in_c", 0, 2),
        ("out_h", 4, 2),
        ("pool_size", 0, 2),
        ("chunks", 2, 2),
        ("groups_per_pass", 0, 2),
        ("tile_images", 0, 2),
        ("tile_rows", 9, 2),
        ("in_stride", 7, 2),
        ("out_stride", 1, 2),
        ("tile_images", 60000, 3),
        ("in_addr", 2**32 - 1, 4),
        ("out_addr", 2**32 - 1, 4),
        ("weight_addr", 10**6, 4),
        ("param_addr", 10**6, 4),
    ],
)
def test_a_damaged_instruction_stops_the_engine(field, value, status):
    """Each is refused with its status and the instruction's index, and nothing past the Program's end is touched."""
    program = compile_network(NETWORK, capacity=2)
    guard = 4096
    memory = np.full(program.memory_words + guard, 0xA5A5A5A5A5A5A5A5, np.uint64)
    memory[: len(program.constants)] = program.constants
    memory[:8].view(CONV)[field] = value
    run = raw(program, memory)
    assert (run.status, run.failed_at) == (status, 0)
    assert (memory[program.memory_words :] == 0xA5A5A5A5A5A5A5A5).all()


def test_a_memory_that_ends_early_is_status_4():
    program = compile_network(NETWORK, capacity=1)
    memory = np.zeros(program.memory_words, np.uint64)
    memory[: len(program.constants)] = program.constants
    assert raw(program, memory).status == 0
    for words in range(0, program.memory_words, 7):
        assert raw(program, memory, mem_words=words).status == 4
    assert raw(program, memory, program=program.memory_words).status == 4
    assert raw(program, memory, images=2**32 - 1).status == 4


def test_cycles_follow_from_the_loops():
    """conv: 6 x 6 outputs pooled 2 x 2, 3 kernel rows of 1 chunk: 3*3*4*3 iterations an image; fc: 3 chunks. Plus the
    fills.
    """
    backend = KernelBackend(NETWORK, 4)
    backend.run(np.zeros((4, 8, 8, 1), np.uint8))
    compute = backend.last_cycles[:, PHASES.index("compute")]
    assert compute.tolist() == [24 + 4 * 108, 24 + 4 * 3]
    load_input = backend.last_cycles[:, PHASES.index("load_input")]
    assert load_input.tolist() == [40 + 4 * 8, 40 + 4 * 5]
    backend.run(np.zeros((8, 8, 8, 1), np.uint8))
    assert backend.last_cycles[:, PHASES.index("compute")].tolist() == [2 * (24 + 4 * 108), 2 * (24 + 4 * 3)]


def test_weights_are_loaded_once_for_a_batch():
    phase = PHASES.index("load_weights")
    one, many = KernelBackend(NETWORK, 1), KernelBackend(NETWORK, 64)
    one.run(np.zeros((1, 8, 8, 1), np.uint8))
    many.run(np.zeros((64, 8, 8, 1), np.uint8))
    assert one.last_cycles[:, phase].tolist() == many.last_cycles[:, phase].tolist()


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
