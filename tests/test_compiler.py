"""The compiler: encoding, layout, choices and limits, each against docs/contract/instruction-set.md."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels import engine_of, small_engine
from strategies import binary_networks, graphs, networks, random_images
from test_network import NETWORK

from pynq_cnn.backends.cpu import CpuBackend
from pynq_cnn.backends.kernel import KernelBackend
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.compiler import Hardware, compile_network
from pynq_cnn.compiler.buffers import Buffer, View
from pynq_cnn.compiler.estimate import PHASES, instruction_costs, layer_costs, sections_of
from pynq_cnn.compiler.instructions import RECORDS, Flag, Instruction, Memory, Move, Opcode, Unit
from pynq_cnn.compiler.listing import listing
from pynq_cnn.compiler.lower import lower
from pynq_cnn.compiler.lower.finish import finish
from pynq_cnn.compiler.memory import Life, place
from pynq_cnn.compiler.packing import PARAMETERS, pack_pads, pack_parameters, pack_tiles
from pynq_cnn.compiler.passes import Pass, Room, divide, total
from pynq_cnn.errors import ArgumentError, CompileError
from pynq_cnn.model import (
    AvgPool2d,
    BinaryConv2d,
    Concat,
    Conv2d,
    Dense,
    InputSpec,
    MaxPool2d,
    Network,
    OutputSpec,
    Requantisation,
    Skip,
    Threshold,
)
from pynq_cnn.model.graph import connect
from pynq_cnn.zoo import load_model

ROOT = Path(__file__).parent.parent
HARDWARE = Hardware()
PAGE = (ROOT / "docs" / "contract" / "instruction-set.md").read_text(encoding="utf-8")


def network_of(*layers, height=8, width=8, channels=1):
    last = layers[-1]
    classes = last.outputs if hasattr(last, "outputs") else 1
    output = OutputSpec(np.ones(classes, np.float32), np.zeros(classes, np.float32), "values")
    middle = (0.5,) * channels
    spec = InputSpec(height, width, channels, "L" if channels == 1 else "RGB", middle, middle)
    return Network("n", spec, layers, output, tuple(map(str, range(classes))))


def network_of_any(*layers, height=8, width=8):
    """The same of layers of which the last may be any."""
    spec = InputSpec(height, width, 1, "L", (0.0,), (1.0,))
    outputs = connect(spec.tensor, layers)[-1].gives.shape[2]
    output = OutputSpec(np.ones(outputs, np.float32), np.zeros(outputs, np.float32), "values")
    return Network("n", spec, layers, output, tuple(map(str, range(outputs))))


def rq(n, zero_point=0):
    return Requantisation(np.full(n, 40, np.uint16), np.full(n, 12, np.uint8), zero_point, zero_point)


def conv(name, out, kernel, channels, seed=0, **options):
    rng = np.random.default_rng(seed)
    weight = rng.integers(-127, 128, (out, *kernel, channels)).astype(np.int8)
    bias = rng.integers(-999, 999, out).astype(np.int32)
    if not {"requantisation", "threshold"} & set(options):
        options["requantisation"] = rq(out)
    return Conv2d(name, weight, bias, **options)


def dense(name, out, inputs, seed=1):
    rng = np.random.default_rng(seed)
    return Dense(name, rng.integers(-127, 128, (out, inputs)).astype(np.int8), np.zeros(out, np.int32))


def computes(program, layer=None):
    """The COMPUTEs of a Program, or those of a layer."""
    return [one for one in program.decode() if one.opcode is Opcode.COMPUTE and layer in (None, one.layer)]


def check_equal(network, images=3, engine=None, batch=None):
    """Kernel and reference give the same."""
    given = random_images(network, images, 0)
    with KernelBackend(network, batch or images, engine=engine) as backend:
        assert np.array_equal(backend.run(given), ReferenceBackend(network).run(given))
        return backend.program


class TestEncoding:
    """Sections 3 to 6."""

    @pytest.mark.parametrize(
        ("opcodes", "start", "end"),
        [
            ((Opcode.SECTION,), "### SECTION", "All instructions are 128 bytes"),
            ((Opcode.LOAD, Opcode.STORE), "## 4.", "Without flags"),
            ((Opcode.COMPUTE,), "| 0 | u8 | opcode | 4 |", "Every address is"),
        ],
    )
    def test_fields_are_where_the_documentation_says(self, opcodes, start, end):
        """Every row of the tables against the records, both ways."""
        table = PAGE[PAGE.index(start) :]
        table = table[: table.index(end)]
        kinds = {"u8": "u1", "u16": "<u2", "u32": "<u4", "i16": "<i2", "i32": "<i4"}
        documented = {}
        for offsets, kind, names in re.findall(r"^\| ([\d, ]+) \| ([ui]\d+) \| ([a-z_0-9, ]+) \|", table, re.M):
            names, offsets = names.split(", "), [int(offset) for offset in offsets.split(", ")]
            step = int(kind[1:]) // 8
            offsets += [offsets[-1] + step * (i + 1) for i in range(len(names) - len(offsets))]
            documented |= {name: (offset, np.dtype(kinds[kind])) for name, offset in zip(names, offsets)}
        for opcode in opcodes:
            record = {name: (RECORDS[opcode].fields[name][1], RECORDS[opcode][name]) for name in RECORDS[opcode].names}
            assert documented == record
            assert RECORDS[opcode].itemsize == 128

    def test_numbers_are_those_of_the_documentation(self):
        for name, flag in (("INT32", 0), ("SIGN", 1), ("SKIP", 2), ("PAD_VECTOR", 3), ("ONES", 4), ("HALF", 5)):
            assert f"bit {flag} `{name}`" in PAGE and Flag[name] == 1 << flag
        units = re.search(r"\| 1 \| u8 \| unit \| (.*) \|", PAGE).group(1)
        assert units == ", ".join(f"{unit.value} {unit.name}" for unit in Unit)
        assert f"bit 0: `{Move.PER_IMAGE.name}`; bit 1: `{Move.MERGED.name}`" in PAGE
        for opcode in Opcode:
            assert f"{opcode.name} (opcode {opcode.value})" in PAGE
        memories = re.search(r"\| 1 \| u8 \| memory \| (.*) \|", PAGE).group(1)
        assert [int(n) for n in re.findall(r"\d+", memories)] == [memory.value for memory in Memory]

    def test_what_does_not_fit_is_refused(self):
        with pytest.raises(OverflowError, match="rows = 65536"):
            Instruction(Opcode.COMPUTE, {"rows": 65536}).encode()
        with pytest.raises(OverflowError, match="first_y = -32769"):
            Instruction(Opcode.COMPUTE, {"first_y": -32769}).encode()

    @pytest.mark.once
    @settings(max_examples=30)
    @given(graphs(max_side=6, layers=4))
    def test_decoding_is_encoding_backwards(self, network):
        try:
            program = compile_network(network, capacity=2)
        except CompileError:
            return
        decoded = program.decode(1)
        words = np.concatenate([one.encode() for one in decoded])
        assert np.array_equal(words, program.constants[program.slots[1].entry :][: len(words)])
        assert len(decoded) == program.instructions == len(program.instruction_names)
        sections = sections_of(decoded)
        assert len(sections) == program.sections and all(one.group >= 1 and one.body for one in sections)

    @settings(max_examples=30)
    @given(st.integers(1, 20), st.integers(1, 3), st.integers(1, 2), st.integers(1, 40), st.sampled_from([1, 2]))
    def test_weight_tiles(self, out, kernel_rows, kernel_cols, count, halves):
        """Section 5: tiles follow each other as the taps do; of bits two a tap, of the lower and the upper PEs."""
        rng = np.random.default_rng(out * count)
        lanes = rng.integers(-127, 128, (out, kernel_rows, kernel_cols, count)).astype(np.int8)
        chunks = -(-count // 16)
        tiles = pack_tiles(lanes, 16, 16, halves).view(np.int8)
        tiles = tiles.reshape(-1, kernel_rows, kernel_cols, chunks, halves, 16, 16)
        assert len(tiles) == -(-out // (16 * halves))
        for group, row, col, chunk, half, pe, lane in np.ndindex(*tiles.shape):
            o, position = (group * halves + half) * 16 + pe, chunk * 16 + lane
            inside = o < out and position < count
            assert tiles[group, row, col, chunk, half, pe, lane] == (lanes[o, row, col, position] if inside else 0)

    def test_parameters(self):
        """Section 6, the channels past the last among them."""
        parameters = np.zeros(17, PARAMETERS)
        parameters["bias"], parameters["multiplier"], parameters["shift"], parameters["skip"] = -7, 65535, 47, 9
        words = pack_parameters(parameters, 16, 16)
        assert words.shape == (2, 32)
        past = 0xFFFFFFFF | 1 << 48
        assert words[0, :2].tolist() == words[1, :2].tolist() == [0xFFFFFFF9 | 0xFFFF << 32 | 47 << 48, 9]
        assert words[1, 2:].tolist() == [past, 0] * 15
        assert pack_parameters(parameters, 32, 16).shape == (2, 32)

    def test_pad_vectors(self):
        vectors = pack_pads(np.arange(1, 21, dtype=np.uint8), 2, 16)
        assert vectors.shape == (4, 16)
        assert vectors[1].tolist() == vectors[3].tolist() == [17, 18, 19, 20] + [0] * 12

    def test_sparse_entries(self):
        """Section 5: weight, FIRST, LAST, row and byte; a channel without weights has one of 0."""
        weight = np.zeros((18, 2, 3, 4), np.int8)
        weight[0, 1, 2, 3], weight[0, 0, 0, 1], weight[17, 0, 1, 0] = -5, 7, 127
        layers = Conv2d("c", weight, np.zeros(18, np.int32), requantisation=rq(18)), dense("d", 2, 18 * 6 * 5)
        network = network_of(conv("first", 4, (1, 1), 1), *layers, height=7, width=7)
        stage = lower(network, HARDWARE, 16)[1].sparse[0]
        assert [len(group) for group in stage.entries] == [17, 2]
        first = stage.entries[0][:3].tolist()
        assert first == [7 | 1 << 8 | 1 << 14, 0xFB | 1 << 9 | 1 << 10 | 11 << 14, 3 << 8]
        assert stage.entries[1].tolist() == [3 << 8, 127 | 3 << 8 | 4 << 14]


class TestMemory:
    """Section 1, and places on the chip."""

    @settings(max_examples=40)
    @given(networks(), st.integers(1, 70))
    def test_the_image_is_a_whole(self, network, capacity):
        """Constants, then slots, nothing overlapping; and images written are where the input address says."""
        program = compile_network(network, capacity=capacity)
        constants = len(program.constants)
        assert program.constants.dtype == np.uint64 and not program.constants.flags.writeable
        memory = np.zeros(program.memory_words, np.uint64)
        images = random_images(network, min(capacity, 3), 0)
        end = constants
        for number, slot in enumerate(program.slots):
            assert slot.entry == number * 16 * program.instructions
            assert end <= slot.output_address and slot.output_address % 8 == 0, "no line of a cache is of two slots"
            assert slot.output_address + capacity * program.output_stride <= slot.input_address
            end = slot.input_address + capacity * program.input_stride
            memory[:] = 0
            program.write_images(memory, images, number)
            fresh = program.fresh(len(images), number)
            assert not memory[: fresh.start].any() and not memory[fresh.stop :].any(), "what is written is flushed"
            first = memory[slot.input_address :].view(np.uint8)[: images[0].size]
            assert np.array_equal(first, images[0].ravel())
            assert not program.written(memory, len(images), number)
            results = program.results(len(images), number)
            memory[results] = 7
            assert program.written(memory, len(images), number)
            assert np.array_equal(memory[slot.input_address :].view(np.uint8)[: images[0].size], images[0].ravel())
            assert (program.read_accumulators(memory, len(images), number)[:, 0] == 7).all()
        assert end <= program.memory_words
        theirs = [program.decode(number) for number in (0, 1)]
        for one, other in zip(*theirs):
            different = {name for name in one.fields if one[name] != other[name]}
            assert different <= {"address"}
            if different:
                slot, apart = program.slots[0], other["address"] - one["address"]
                ours = program.slots[1]
                assert apart in (ours.input_address - slot.input_address, ours.output_address - slot.output_address)

    @settings(max_examples=200)
    @given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 9), st.integers(0, 5)), max_size=12))
    def test_places_by_lifetime(self, drawn):
        """Buffers that live at the same time do not overlap, and the size is that of the highest."""
        lives = [Life(size, first, first + longer) for size, first, longer in drawn]
        places, size = place(lives)
        taken = np.zeros((16, size), int)
        for life, at in zip(lives, places):
            taken[life.first : life.last + 1, at : at + life.size] += 1
        assert taken.max(initial=0) <= 1
        assert size == max((at + life.size for life, at in zip(lives, places)), default=0)
        assert size <= sum(life.size for life in lives)

    @pytest.mark.once
    @settings(max_examples=20, deadline=None)
    @given(graphs(max_side=10), st.integers(1, 4))
    def test_nothing_outside_the_program_is_touched(self, network, images):
        """A guard behind the memory stays as it is, and so do the constants and the other slot."""
        engine = small_engine()
        identity = engine.run(0, mem_words=0, entry=0, sections=0, images=0)
        hardware = Hardware.from_registers(identity.geometry, identity.buffers)
        try:
            program = compile_network(network, hardware=hardware, capacity=images)
        except CompileError:
            return
        memory = np.full(program.memory_words, 0xA5A5A5A5A5A5A5A5, np.uint64)
        memory[: len(program.constants)] = program.constants
        program.write_images(memory, random_images(network, images, 0))
        before, other = memory.copy(), program.slots[1]
        done = engine.run(memory.ctypes.data, mem_words=len(memory), entry=0, sections=program.sections, images=images)
        assert done.status == 0
        assert np.array_equal(memory[: len(program.constants)], program.constants)
        there = slice(other.output_address, other.input_address + images * program.input_stride)
        assert np.array_equal(memory[there], before[there])
        mine = program.slots[0]
        assert np.array_equal(
            memory[mine.input_address :][: images * program.input_stride],
            before[mine.input_address :][: images * program.input_stride],
        )

    @pytest.mark.once
    def test_addresses_are_bounded(self):
        """A batch whose tensors pass 2^32 words is refused; the largest addresses are 32-bit fields."""
        grow = conv("grow", 8, (1, 1), 1)
        shrink = conv("shrink", 1, (1, 1), 8, stride=(255, 255))
        network = network_of(grow, MaxPool2d("pool", 3, 1), shrink, dense("fc", 1, 17 * 17), height=4096, width=4096)
        assert compile_network(network, capacity=100).memory_words < 2**32
        with pytest.raises(CompileError, match="n with 65535 images needs .* smaller batch"):
            compile_network(network, capacity=65535)


class TestProgram:
    def test_write_and_read_check_their_arguments(self):
        program = compile_network(NETWORK, capacity=2)
        memory = np.zeros(program.memory_words, np.uint64)
        images = np.zeros((2, 8, 8, 1), np.uint8)
        program.write_images(memory, images)
        for wrong in (memory[:-1], memory.astype(np.int64), np.zeros(2 * program.memory_words, np.uint64)[::2]):
            with pytest.raises(ArgumentError, match="memory"):
                program.write_images(wrong, images)
        with pytest.raises(ArgumentError, match="1 to 2 images, not 3"):
            program.write_images(memory, np.zeros((3, 8, 8, 1), np.uint8))
        with pytest.raises(ArgumentError, match="uint8"):
            program.write_images(memory, images.astype(np.int8))
        before = memory.copy()
        results = program.read_accumulators(memory, 1)
        results[:] = 7
        assert np.array_equal(memory, before)

    @pytest.mark.parametrize("capacity", [0, 65536, 1.0, True, None])
    def test_capacity(self, capacity):
        with pytest.raises(ArgumentError, match="capacity"):
            compile_network(NETWORK, capacity=capacity)

    def test_the_listing_has_every_instruction(self):
        program = compile_network(load_model("deepnet"), capacity=16)
        lines = listing(program).splitlines()
        assert len(lines) == 1 + program.instructions
        assert all(f"{number:4d} " in line for number, line in enumerate(lines[1:]))
        assert sum("SECTION" in line for line in lines) == program.sections
        text = "\n".join(lines)
        assert "COMPUTE sparse" in text and "; fc1" in text and "-> entries[" in text and "<- results[0]" in text


class TestArithmetic:
    """Equal to the reference, on engines of several sizes."""

    ENGINES = {
        "shipped": lambda: None,
        "small": small_engine,
        "wide": lambda: engine_of(SIMD=32, LOG2_FEATURE_MAP_BYTES=13, LOG2_WEIGHT_TILES=6, PARAM_GROUPS=8),
        "narrow": lambda: engine_of(PE=8, SIMD=8, LOG2_FEATURE_MAP_BYTES=12, LOG2_WEIGHT_TILES=9),
    }

    @pytest.mark.parametrize("engine", ENGINES)
    @settings(max_examples=25, deadline=None)
    @given(network=graphs() | networks() | binary_networks(), images=st.integers(1, 5), more=st.integers(0, 40))
    def test_any_network(self, engine, network, images, more):
        try:
            check_equal(network, images, self.ENGINES[engine](), images + more)
        except CompileError as error:
            assert re.search(
                "channels of bits, and only|weight tiles, of|feature maps that|pad vectors, of", str(error)
            )

    @pytest.mark.parametrize(
        "layers",
        [
            (conv("c", 5, (3, 3), 1, padding=(1, 1)), MaxPool2d("p", 2, 2), dense("d", 3, 80)),
            (conv("c", 3, (1, 5), 1, padding=(0, 4, 0, 1)), dense("d", 3, 216)),
            (conv("c", 8, (3, 3), 1, dilation=(2, 2)), dense("d", 3, 128)),
            (conv("c", 8, (2, 2), 1, stride=(2, 1), threshold=Threshold(np.arange(8, dtype=np.int32))),
             BinaryConv2d.from_signs("b", np.ones((3, 4, 7, 8)))),
        ],
        ids=["pooled", "padded unevenly", "dilated", "bits"],
    )  # fmt: skip
    def test_columns_as_channels(self, layers):
        """Few output channels: several columns are computed as one, the last of them fewer."""
        program = check_equal(network_of(*layers))
        (found,) = [one for one in computes(program) if one["unit"] == Unit.BYTES and one["cols"] > 1][-1:]
        assert found["col_lanes"] > layers[0].outputs, "columns are together"

    def test_a_byte_of_bits_is_never_of_two_columns(self):
        threshold = Threshold(np.zeros(5, np.int32))
        network = network_of(
            conv("c", 5, (3, 3), 1, threshold=threshold), BinaryConv2d.from_signs("b", np.ones((3, 6, 6, 5)))
        )
        assert computes(check_equal(network))[-2]["col_lanes"] == 5

    @pytest.mark.parametrize("stride", [(1, 1), (4, 4), (3, 1)])
    @pytest.mark.parametrize("dilation", [1, 2])
    def test_rows_as_channels(self, stride, dilation):
        """Few input channels: rows are gathered before, only those that are looked at."""
        one = conv("c", 64, (5, 5), 1, stride=stride, dilation=dilation, padding=(2, 1, 0, 3))
        side = one.output_shape((14, 14, 1))
        network = network_of(one, dense("d", 2, int(np.prod(side))), height=14, width=14)
        program = check_equal(network)
        if stride == (1, 1):
            assert len(computes(program, "c")) == 2

    def test_padding_with_a_zero_point_for_each_channel(self):
        one = conv("c", 20, (3, 3), 3, padding=(2, 2, 1, 0))
        network = network_of(one, dense("d", 2, 8 * 9 * 20), height=8, width=8, channels=3)
        spec = InputSpec(8, 8, 3, "RGB", (0.5,) * 3, (0.5,) * 3, zero_point=(1, 100, 255))
        check_equal(Network("n", spec, network.layers, network.output, network.classes))

    def test_concatenation_takes_no_copy(self):
        """Each operand is given right beside the others; what is there twice, and the image itself, is copied."""
        a = conv("a", 24, (3, 3), 1, padding=(1, 1), inputs=("input",), requantisation=rq(24, 128))
        b = conv("b", 16, (1, 1), 1, inputs=("input",), requantisation=rq(16, 128))
        both = Concat("both", ("a", "b"))
        program = check_equal(network_of(a, b, both, dense("d", 2, 64 * 40)))
        assert [one.layer for one in computes(program) if one["unit"] == Unit.MAX] == []
        twice = Concat("twice", ("a", "input", "a", "b"))
        program = check_equal(network_of(a, b, twice, conv("even", 3, (2, 2), 65), dense("d", 2, 147)))
        assert [one.layer for one in computes(program) if one["unit"] == Unit.MAX] == ["twice", "twice"]

    def test_bits_side_by_side(self):
        def bits(name, out):
            return conv(name, out, (1, 1), 1, threshold=Threshold(np.full(out, 40, np.int32)), inputs=("input",))

        last = BinaryConv2d.from_signs("last", np.ones((2, 8, 8, 11)))
        check_equal(network_of(bits("a", 8), bits("b", 3), Concat("both", ("a", "b")), last))
        with pytest.raises(CompileError, match="both: b gives 3 channels of bits, and only the last"):
            compile_network(network_of(bits("a", 8), bits("b", 3), Concat("both", ("b", "a")), last))

    def test_residual(self):
        one = conv("a", 20, (3, 3), 1, padding=(1, 1))
        skip = Skip(np.arange(20, dtype=np.uint16) * 3000)
        two = conv("b", 20, (3, 3), 20, 2, padding=(1, 1), skip=skip, inputs=("a", "a"))
        program = check_equal(network_of(one, two, MaxPool2d("p", 2, 2), dense("d", 2, 16 * 20)))
        (found,) = computes(program, "b")
        assert found["flags"] & Flag.SKIP and (found["pool_rows"], found["pool_cols"]) == (1, 1)

    @pytest.mark.parametrize("outputs", [1, 16, 130, 1100])
    def test_results_of_any_number(self, outputs):
        """More than the 64 groups of parameters, or than the results that the engine holds, are stored bit by bit."""
        check_equal(network_of(dense("d", outputs, 64)), 3)
        check_equal(network_of(dense("d", outputs, 64)), 3, small_engine())

    def test_thresholds_beyond_int32(self):
        """A threshold that is never reached, or always, though bias minus threshold leaves int32."""
        bias = np.array([2**31 - 1, -(2**31), 5, 0], np.int32)
        weight = np.array([0, 0, 1, -1], np.int8).reshape(4, 1, 1, 1)
        value = np.array([-(2**31), 2**31 - 1, 6, -2], np.int32)
        bits = Conv2d("c", weight, bias, threshold=Threshold(value))
        check_equal(network_of(bits, BinaryConv2d.from_signs("b", np.ones((2, 8, 8, 4)))))
        wide = np.full((1, 66311 * 2), 127, np.int8)
        wide[0, 1::2] = -127
        low = 255 * np.minimum(wide, 0).sum(1, dtype=np.int64)
        with pytest.raises(OverflowError):
            finish(np.zeros(1), None, Threshold(np.zeros(1, np.int32)), (low, -low))

    @pytest.mark.parametrize("groups", [2, 4, 8, 16])
    def test_groups(self, groups):
        one = conv("g", 32, (3, 3), 16 // groups, groups=groups, padding=(1, 1))
        check_equal(network_of(conv("a", 16, (1, 1), 1), one, dense("d", 2, 64 * 32)))

    def test_depthwise(self):
        one = conv("g", 40, (3, 3), 1, groups=40, padding=(1, 1), dilation=2, stride=(2, 1))
        layers = conv("a", 40, (1, 1), 1), one, MaxPool2d("p", 2, 2)
        shape = (1, 3, 40)
        program = check_equal(network_of(*layers, dense("d", 2, int(np.prod(shape)))))
        assert [found["unit"] for found in computes(program, "g+p")] == [Unit.DEPTHWISE]

    @pytest.mark.once
    def test_very_many_channels(self):
        """No square of them is made: of 65,535 channels it would take 4.3 GB."""
        grow = Conv2d("grow", np.ones((65535, 1, 1, 1), np.int8), np.zeros(65535, np.int32), requantisation=rq(65535))
        wide = Conv2d(
            "wide",
            np.ones((65535, 1, 1, 1), np.int8),
            np.zeros(65535, np.int32),
            requantisation=rq(65535),
            groups=65535,
        )
        pools = MaxPool2d("a", (2, 1), (1, 1)), AvgPool2d("b", (1, 1), (1, 1), rq(1))
        last = AvgPool2d("last", (1, 1), (1, 1))
        check_equal(network_of_any(grow, wide, *pools, last, height=2, width=1), 1)
        groups = Conv2d(
            "groups",
            np.ones((65498, 1, 1, 1), np.int8),
            np.zeros(65498, np.int32),
            requantisation=rq(65498),
            groups=32749,
        )
        with pytest.raises(CompileError, match="groups: 32749 groups are more than"):
            before = Conv2d(
                "x", np.ones((32749, 1, 1, 1), np.int8), np.zeros(32749, np.int32), requantisation=rq(32749)
            )
            compile_network(network_of_any(before, groups, AvgPool2d("last", (1, 1), (1, 1)), height=1, width=1))


class TestChoices:
    """The choices that the cycle model makes."""

    def test_pooling_is_taken_along_where_that_is_right(self):
        def units(*layers):
            return [Unit(one["unit"]).name for one in computes(compile_network(network_of(*layers), capacity=4))]

        first = conv("c", 16, (1, 3), 1)
        assert units(first, MaxPool2d("p", 2, 2), dense("d", 2, 192)) == ["BYTES", "BYTES"]
        assert units(first, MaxPool2d("p", 3, 2), dense("d", 2, 96)) == ["BYTES", "MAX", "BYTES"], "overlapping"
        padded = MaxPool2d("p", 2, 2, (1, 1, 1, 1))
        assert units(first, padded, dense("d", 2, 320)) == ["BYTES", "MAX", "BYTES"]
        twice = (first, MaxPool2d("p", 6, 6), MaxPool2d("q", 6, 6, inputs=("c",)), Concat("both", ("p", "q")))
        assert units(*twice, dense("d", 2, 32)) == ["BYTES", "MAX", "MAX", "BYTES"], "both need what it is of"

    def test_layers_of_few_weights_are_sparse_where_that_is_faster(self):
        """Of deepnet's fc1, 0.3 % are not 0, which are loaded faster than all even for one image; of conv2 3 %, which
        pays if there is an image for every lane.
        """

        def sparse(network, batch):
            found = computes(compile_network(load_model(network), capacity=batch))
            return {one.layer for one in found if one["unit"] == Unit.SPARSE}

        assert sparse("deepnet", 16) == {"conv2+pool2", "fc1"}
        assert sparse("deepnet", 1) == sparse("lenet5", 1) == {"fc1"}
        assert sparse("nin", 1) == sparse("lenet", 64) == set()

    def test_sparse_where_dense_does_not_fit(self):
        weight = np.zeros((20, 128 * 160), np.int8)
        weight[:, ::500] = 3
        layers = Dense("wide", weight, np.zeros(20, np.int32), rq(20)), dense("d", 2, 20)
        program = check_equal(network_of(*layers, height=128, width=160))
        assert computes(program, "wide")[0]["unit"] == Unit.SPARSE

    def test_weights_that_fit_are_loaded_once(self):
        program = compile_network(load_model("lenet"), capacity=64)
        loads = [one for one in program.decode() if one.opcode is Opcode.LOAD]
        assert [one["memory"] for one in loads] == [Memory.WEIGHTS, Memory.PARAMETERS, Memory.FEATURES]
        assert program.sections == 1

    def test_a_layer_that_does_not_fit_is_run_pass_by_pass(self):
        """nin's conv_2 has 2,400 weight tiles, and the engine 1,024: three passes over all images, which leave three
        blocks; in a batch of one image its weights pass through the chip with the image there.
        """
        program = compile_network(load_model("nin"), capacity=64)
        sections = [one for one in sections_of(program.decode()) if any(i.layer == "conv_2" for i in one.body)]
        found = computes(program, "conv_2")
        assert len(found) == 3 and sum(one["groups"] for one in found) == 16
        assert len(sections) == 6
        scattered = [one for one in program.decode() if one.opcode is Opcode.LOAD and one["run_step"] == 256]
        assert len(scattered) == 3 and {one["run"] for one in scattered} == {found[0]["groups"] * 2, 8}
        single = compile_network(load_model("nin"), capacity=1)
        assert single.sections < program.sections

    @pytest.mark.once
    def test_images_that_do_not_fit_are_worked_on_in_rows(self):
        layers = conv("c", 16, (3, 3), 1, padding=(1, 1)), conv("e", 16, (3, 3), 16, padding=(1, 1))
        network = network_of(*layers, MaxPool2d("p", 3, 3), dense("d", 2, 10 * 10 * 16), height=30, width=30)
        program = check_equal(network, 2, engine_of(LOG2_FEATURE_MAP_BYTES=13, LOG2_WEIGHT_TILES=7))
        assert len(computes(program, "e+p")) > 1

    @pytest.mark.parametrize("multiple", [1, 2])
    def test_passes(self, multiple):
        """Every group once, in order, and each pass within its room."""
        steps = lower(network_of(conv("c", 200, (3, 3), 1), dense("d", 2, 7200)), HARDWARE, 1)
        stage = steps[0].dense[-1]
        room = Room(tiles=5 * stage.tiles_of_a_group, parameters=64, entries=9, pads=9, results=9)
        passes = divide(stage, room, multiple)
        assert [n for one in passes for n in range(one.first, one.first + one.groups)] == list(range(stage.groups))
        assert all(one.room <= room for one in passes)
        assert all(one.groups % multiple == 0 for one in passes[:-1])
        assert total(passes).tiles == Pass.whole(stage).room.tiles
        assert divide(stage, Room(tiles=stage.tiles_of_a_group - 1, parameters=64)) is None

    @pytest.mark.once
    def test_the_measured_networks_keep_their_budgets(self, cycles):
        """The budgets of benchmarks/cycles.py, nin on large images aside."""
        for name, make, batch, most in cycles.CASES:
            if "224" not in name:
                assert compile_network(make(), capacity=batch).cycles / batch <= most, name
        for network in (cycles.cnv(), cycles.resnet8()):
            check_equal(network, 2, batch=16)


class TestEstimate:
    """Section 8."""

    @pytest.mark.once
    @pytest.mark.parametrize("engine", ["shipped", "small"])
    @settings(max_examples=20, deadline=None)
    @given(network=graphs(max_side=9) | networks() | binary_networks(), capacity=st.integers(1, 9))
    def test_cycles_are_what_the_kernel_counts(self, engine, network, capacity):
        """Of each instruction, by phase; of a full batch, and of one image in a Program for more."""
        try:
            backend = KernelBackend(network, capacity, engine=TestArithmetic.ENGINES[engine]())
        except CompileError:
            return
        with backend:
            for images in (capacity, 1):
                backend.run(random_images(network, images, 0))
                costs = instruction_costs(backend.program.decode(), images)
                assert [list(cost.cycles) for cost in costs] == backend.last_cycles.tolist()
            full = instruction_costs(backend.program.decode(), capacity)
            assert backend.program.cycles == sum(cost.total for cost in full)

    def test_layers_add_up(self):
        program = compile_network(load_model("deepnet"), capacity=16)
        costs = instruction_costs(program.decode(), 16)
        layers = layer_costs(costs)
        assert [one.layer for one in layers] == ["", "conv1+pool1", "conv2+pool2", "fc1", "fc2"]
        assert sum(one.total for one in layers) == program.cycles
        assert sum(one.traffic for one in layers) == sum(one.traffic for one in costs)
        assert {one.bound for one in layers[1:3]} == {"compute"} and layers[0].bound == "memory"
        assert len(PHASES) == len(layers[0].cycles)

    def test_traffic_is_what_is_moved(self):
        """lenet's batch: its instructions, its constants, the images and the results, each once."""
        program = compile_network(load_model("lenet"), capacity=64)
        constants = len(program.constants) - 2 * 16 * program.instructions
        fetched = 1 + 16 * (program.instructions - 1)
        words = fetched + constants + 64 * (program.input_stride + program.output_stride)
        assert sum(cost.traffic for cost in instruction_costs(program.decode(), 64)) == 8 * words


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            lambda: network_of(dense("wide", 1, 128 * 129), height=128, width=129),
            "wide: 16 output channels need 1032 weight tiles, of 1024 that the engine has",
        ),
        (
            lambda: network_of(
                conv("rows", 1, (60, 1), 1, stride=(1, 1)), MaxPool2d("p", 1, 255), dense("fc", 1, 59),
                height=60, width=15000,
            ),
            "rows.*feature maps that the engine has",
        ),
        (
            lambda: network_of(
                conv("tall", 3, (256, 1), 1, groups=3), dense("fc", 1, 6), height=257, width=1, channels=3
            ),
            "tall: the kernel is worked on in 256 rows",
        ),
        (
            lambda: network_of(
                conv("c", 9, (1, 1), 1, threshold=Threshold(np.zeros(9, np.int32))),
                BinaryConv2d.from_signs("far", np.ones((9, 1, 600, 9)), padding=(0, 1),
                                        threshold=Threshold(np.zeros(9, np.int32))),
                BinaryConv2d.from_signs("last", np.ones((1, 1, 3, 9))),
                height=1, width=600,
            ),
            "far: padding with .* needs 75 pad vectors, of 64",
        ),
        (
            lambda: network_of(
                MaxPool2d("p", 1, 1), AvgPool2d("far", (1, 200), (1, 1), rq(1), padding=(0, 1)), dense("fc", 1, 609),
                height=1, width=400, channels=3,
            ),
            "far: padding with a zero point for each channel",
        ),
    ],
)  # fmt: skip
def test_limits_name_the_layer(network, message):
    made = network()
    if made.input.channels == 3:
        spec = InputSpec(*made.input.shape, "RGB", (0.5,) * 3, (0.5,) * 3, zero_point=(1, 2, 3))
        made = Network("n", spec, made.layers, made.output, made.classes)
    with pytest.raises(CompileError, match=message) as refused:
        compile_network(made)
    if "backend='cpu'" in str(refused.value):
        images = random_images(made, 1, 0)
        with CpuBackend(made) as cpu:
            np.testing.assert_array_equal(cpu.run(images), ReferenceBackend(made).run(images))


def test_a_view_of_bits_starts_at_a_byte():
    view = View(Buffer.of("b", 2, 3, 5), 1, 30, bits=True)
    assert (view.bytes, view.contiguous, view.part(8, 9).offset, view.part(8, 9).bytes) == (4, False, 2, 2)
