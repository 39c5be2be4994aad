"""The audit of the engine's sources (hls_src/audit): that it passes today's, and finds each fault that is planted."""

from __future__ import annotations

import doctest
import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("ziglang", reason="needs clang: pip install ziglang==0.13.0 libclang==18.1.1")
pytest.importorskip("clang.cindex", reason="needs libclang: pip install ziglang==0.13.0 libclang==18.1.1")

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "hls_src"))

from audit import beside, budget, report, rules, toolchain  # noqa: E402
from audit.__main__ import main, top_of  # noqa: E402
from audit.report import Audit  # noqa: E402
from audit.source import Source  # noqa: E402
from audit.toolchain import AuditError  # noqa: E402
from audit.verilog import Pipeline  # noqa: E402

Run = Callable[..., Audit]

# A small engine with nothing wrong: four banks, loaded and summed.
GOOD = """
#include <cstdint>
namespace {
constexpr int LANES = 4;
inline uint32_t weigh(uint32_t value, uint16_t weight) {
#pragma HLS INLINE
    return (value & 0xFFFF) * weight;
}
inline void load(const uint64_t *words, uint32_t count, uint16_t buffer[1024][LANES]) {
#pragma HLS INLINE off
LOAD:
    for (uint32_t i = 0; i < count; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 1024
#pragma HLS PIPELINE II = 1
        const uint64_t word = words[i];
    SPREAD:
        for (int lane = 0; lane < LANES; ++lane) {
#pragma HLS UNROLL
            buffer[i & 1023][lane] = static_cast<uint16_t>(word >> (16 * lane));
        }
    }
}
}  // namespace
extern "C" void top(const uint64_t *words, uint32_t count, uint16_t weight, uint32_t *result) {
#pragma HLS INTERFACE m_axi port = words offset = slave bundle = gmem
#pragma HLS INTERFACE s_axilite port = words bundle = control
#pragma HLS INTERFACE s_axilite port = count bundle = control
#pragma HLS INTERFACE s_axilite port = weight bundle = control
#pragma HLS INTERFACE s_axilite port = result bundle = control
#pragma HLS INTERFACE s_axilite port = return bundle = control
    static uint16_t buffer[1024][LANES];
#pragma HLS ARRAY_PARTITION variable = buffer complete dim = 2
#pragma HLS BIND_STORAGE variable = buffer type = ram_2p impl = bram
    load(words, count, buffer);
    uint32_t total = 0;
SUM:
    for (uint32_t i = 0; i < count; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 1024
#pragma HLS PIPELINE II = 1
        uint32_t sum = 0;
    LANES_OF_SUM:
        for (int lane = 0; lane < LANES; ++lane) {
#pragma HLS UNROLL
            sum += weigh(buffer[i & 1023][lane], static_cast<uint16_t>(weight >> lane));
        }
        total += sum;
    }
    *result = total;
}
"""


def planted(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One cache for all, which saves a third of a second each."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"):
            patch.setenv(name, str(tmp_path_factory.getbasetemp() / "zig"))
        yield


@pytest.fixture
def audit(tmp_path: Path) -> Run:
    def run(text: str, *defines: str) -> Audit:
        (tmp_path / "top.cpp").write_text(text)
        return Audit(tmp_path / "top.cpp", "top", defines)

    return run


def breaches(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / "top.cpp").write_text(text)
    return rules.check(Source(tmp_path / "top.cpp", "top"))


# --- today's sources ---


@pytest.fixture(scope="module")
def engine() -> Audit:
    return Audit(*top_of(ROOT / "hls_src" / "hls.tcl"))


def test_the_engine_has_no_fault_that_is_not_known(engine: Audit) -> None:
    assert engine.unknown_faults == [], engine.text()


def test_the_page_shows_what_the_audit_counts_today(engine: Audit) -> None:
    page = next((ROOT / "docs").rglob("engine.md"))
    assert report.page_part(engine) in page.read_text(encoding="utf-8"), "make -C hls_src audit-docs"


def test_every_pipeline_of_the_engine_was_looked_at(engine: Audit) -> None:
    written = {loop.name for loop in engine.source.loops if loop.pipelined}
    assert written and {schedule.name for schedule in engine.fabric.schedules} == written
    for memory in engine.memories.all:
        if memory.array.static:
            assert memory.used and memory.most_reads and memory.most_writes, memory.array.name


def test_each_memory_of_the_engine_needs_its_partition(engine: Audit, tmp_path: Path) -> None:
    """Without any the audit names each of those memories, as more is asked of it than its ports give."""
    needed = {m.array.name: m.array.find("array_partition") for m in engine.memories.used if not m.registers}
    needed = {name: pragmas for name, pragmas in needed.items() if pragmas}
    assert len(needed) >= 3
    lines_of = {path: text.splitlines() for path, text in engine.source.texts.items()}
    for pragmas in needed.values():
        for pragma in pragmas:
            lines_of[pragma.file][pragma.line - 1] = ""
    for path, lines in lines_of.items():
        target = tmp_path / path.relative_to(engine.source.path.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("\n".join(lines))
    faults = Audit(tmp_path / engine.source.path.name, engine.source.top).faults
    not_named = [name for name in needed if not any(f"of a bank of `{name}`" in fault for fault in faults)]
    assert not_named == []


# --- what a good source gives ---


def test_a_good_source_has_no_fault_and_the_right_counts(audit: Run) -> None:
    good = audit(GOOD)
    assert good.faults == [] and good.notes == []
    # Four products of 16 x 16 bits; a bank of 1024 x 16 bits is half a BRAM36.
    assert good.dsp() == good.dsp(True) == 4
    (buffer,) = good.memories.used
    assert (buffer.banks, buffer.depth, buffer.bits, buffer.bram18) == (4, 1024, 16, 4)
    assert (buffer.most_reads, buffer.most_writes) == (1, 1)
    assert [(s.name, s.interval) for s in good.fabric.schedules] == [("SUM", 1), ("LOAD", 1)]
    assert 0 < good.total["LUT"] < 6000 and 0 < good.total["FF"] < 8000


def test_sizes_can_be_set(audit: Run) -> None:
    text = planted("constexpr int LANES = 4;", "constexpr int LANES = WIDE;").replace(
        "word >> (16 * lane)", "word >> (16 * (lane & 3))"
    )
    assert audit(text, "WIDE=4").dsp() == 4 and audit(text, "WIDE=8").dsp() == 8


# --- planted faults that the intermediate code shows ---


def test_a_wide_control_product_is_counted_outside_of_pipelines(audit: Run) -> None:
    found = audit(
        planted("uint32_t total = 0;", "uint32_t total = static_cast<uint32_t>((words[0] * words[1]) >> 40);")
    )
    assert found.dsp(False) == 8 and found.dsp(True) == 4
    assert any("8 DSPs are outside of pipelines" in note for note in found.notes)


def test_too_many_products_are_over_the_budget(audit: Run) -> None:
    wide = planted(
        "(value & 0xFFFF) * weight",
        "static_cast<uint32_t>((value * static_cast<uint64_t>(weight) * value * value) >> 32)",
    )
    wide = wide.replace("LANES = 4", "LANES = 64").replace("16 * lane", "lane & 31").replace(">> lane", ">> (lane & 7)")
    found = audit(
        wide.replace("uint16_t buffer", "uint32_t buffer").replace(
            "static_cast<uint16_t>(word", "static_cast<uint32_t>(word"
        )
    )
    assert any(fault.startswith("DSP: ") and "limit is 212" in fault for fault in found.faults)


def test_too_large_an_array_is_over_the_budget(audit: Run) -> None:
    assert any(
        f.startswith("BRAM36: 260")
        for f in audit(
            planted(
                "static uint16_t buffer[1024]",
                "static uint16_t spare[131072 * 2][2];\n"
                "#pragma HLS ARRAY_PARTITION variable = spare complete dim = 2\n"
                "#pragma HLS BIND_STORAGE variable = spare type = ram_2p impl = bram\n"
                "    spare[count & 0x3FFFF][0] = weight;\n    *result = spare[weight][0];\n"
                "    static uint16_t buffer[1024]",
            )
        ).faults
    )


def test_an_array_without_partition_is_found_where_it_is_read_and_written(audit: Run) -> None:
    faults = audit(planted("#pragma HLS ARRAY_PARTITION variable = buffer complete dim = 2\n", "")).faults
    assert len(faults) == 2
    assert any("LOAD needs 0 reads and 4 writes of a bank of `buffer`" in fault for fault in faults)
    assert any("SUM needs 4 reads and 0 writes of a bank of `buffer`" in fault for fault in faults)


def test_a_third_read_of_a_bank_is_found_and_two_are_not(audit: Run) -> None:
    second = (
        "sum += weigh(buffer[i & 1023][lane], static_cast<uint16_t>(weight >> lane)) + buffer[(i + 7) & 1023][lane];"
    )
    third = second.replace(";", " + buffer[(i + 9) & 1023][lane];")
    old = "sum += weigh(buffer[i & 1023][lane], static_cast<uint16_t>(weight >> lane));"
    assert audit(planted(old, second)).faults == []
    (fault,) = audit(planted(old, third)).faults
    assert "SUM needs 3 reads and 0 writes of a bank of `buffer`" in fault and "ram_2p" in fault
    (fault,) = audit(planted(old, second).replace("type = ram_2p", "type = ram_s2p")).faults
    assert "SUM needs 2 reads" in fault


def test_two_writes_of_a_bank_need_two_writing_ports(audit: Run) -> None:
    text = planted(
        "            buffer[i & 1023][lane] = static_cast<uint16_t>(word >> (16 * lane));",
        "            buffer[i & 1023][lane] = static_cast<uint16_t>(word >> (16 * lane));\n"
        "            buffer[(i + 512) & 1023][lane] = static_cast<uint16_t>(word >> lane);",
    )
    (fault,) = audit(text).faults
    assert "LOAD needs 0 reads and 2 writes" in fault
    assert audit(text.replace("ram_2p", "ram_t2p")).faults == []
    assert (
        audit(
            text.replace(
                "LOOP_TRIPCOUNT min = 1 max = 1024\n#pragma HLS PIPELINE II = 1",
                "LOOP_TRIPCOUNT min = 1 max = 1024\n#pragma HLS PIPELINE II = 2",
            )
        ).faults
        == []
    )


def test_accesses_in_branches_that_exclude_each_other_count_once(audit: Run) -> None:
    text = planted(
        "        const uint64_t word = words[i];\n",
        "        const uint64_t word = words[i];\n"
        "        if (word & 1) {\n            buffer[i & 511][0] = 1;\n            continue;\n        }\n",
    )
    found = audit(text)
    assert found.faults == []


def test_a_bank_is_known_behind_a_choice(audit: Run) -> None:
    """Half of the banks a cycle, as an engine writes a 64-bit word into 16 byte banks."""
    text = planted(
        "buffer[i & 1023][lane] = static", "if ((lane & 1) == static_cast<int>(i & 1)) buffer[i & 1023][lane] = static"
    )
    found = audit(text)
    assert found.faults == [] and found.memories.used[0].most_writes == 1


@pytest.mark.parametrize(
    "partition, banks, fits",
    [
        ("cyclic factor = 4 dim = 1", 4, True),
        ("block factor = 4 dim = 1", 4, False),
        ("cyclic factor = 2 dim = 1", 2, True),
    ],
)
def test_partitions_by_a_factor(audit: Run, partition: str, banks: int, fits: bool) -> None:
    text = planted("uint16_t buffer[1024][LANES]", "uint16_t buffer[1024 * LANES]").replace(
        "complete dim = 2", partition
    )
    text = text.replace("static uint16_t buffer[1024][LANES]", "static uint16_t buffer[1024 * LANES]")
    text = text.replace("buffer[i & 1023][lane]", "buffer[(i & 1023) * LANES + lane]").replace(
        "type = ram_2p", "type = ram_t2p"
    )
    found = audit(text)
    assert found.memories.used[0].banks == banks
    assert (found.faults == []) == fits, found.faults


def test_arrays_in_a_struct_are_arrays(audit: Run) -> None:
    text = planted(
        "constexpr int LANES = 4;",
        "constexpr int LANES = 4;\nstruct Memory {\n    uint16_t spare[64];\n    uint16_t buffer[1024][LANES];\n};",
    )
    text = text.replace("    static uint16_t buffer[1024][LANES];", "    static Memory memory;")
    text = text.replace("variable = buffer", "variable = memory.buffer").replace(
        "load(words, count, buffer)", "load(words, count, memory.buffer)"
    )
    text = text.replace("weigh(buffer[", "weigh(memory.buffer[")
    good = audit(text)
    (memory,) = good.memories.used
    assert good.faults == [] and (memory.array.name, memory.banks, memory.bram18) == ("memory.buffer", 4, 4)
    assert (
        len(audit(text.replace("#pragma HLS ARRAY_PARTITION variable = memory.buffer complete dim = 2\n", "")).faults)
        == 2
    )


def test_buffers_between_the_processes_of_a_dataflow_region_are_two(audit: Run) -> None:
    once = audit(GOOD).memories.used[0].bram18
    text = planted("    load(words, count, buffer);", "#pragma HLS DATAFLOW\n    load(words, count, buffer);")
    assert audit(text).memories.used[0].bram18 == 2 * once


def test_what_a_loop_asks_of_a_memory_is_in_the_table(audit: Run) -> None:
    lines = audit(GOOD).accesses().splitlines()[2:]
    assert lines == ["| `buffer` | `LOAD` | 1 | 0 | 1 |", "| `buffer` | `SUM` | 1 | 1 | 0 |"]


def test_writes_of_one_bank_are_not_hidden_by_reads_of_another(audit: Run) -> None:
    """Bank 0 is written twice, which ram_2p does not serve; bank 1 is read and written, which it does."""
    text = planted(
        "        const uint64_t word = words[i];\n",
        "        const uint64_t word = words[i] ^ buffer[i & 1023][1];\n        buffer[(i + 5) & 1023][0] = 7;\n",
    )
    (fault,) = audit(text).faults
    assert "LOAD needs 0 reads and 2 writes of a bank of `buffer`" in fault


def test_pragmas_on_a_parameter_are_of_the_array_that_is_given(audit: Run) -> None:
    """As where one function has the pragmas of all memories, by way of another function, too."""
    both = (
        "#pragma HLS ARRAY_PARTITION variable = buffer complete dim = 2\n"
        "#pragma HLS BIND_STORAGE variable = buffer type = ram_2p impl = bram\n"
    )
    shape = both.replace("buffer", "bank")
    text = planted(both, "    outer(buffer);\n").replace(
        "inline void load(",
        f"inline void shape(uint16_t bank[1024][LANES]) {{\n#pragma HLS INLINE\n{shape}}}\n"
        "inline void outer(uint16_t given[1024][LANES]) {\n#pragma HLS INLINE\n    shape(given);\n}\n"
        "inline void load(",
    )
    found = audit(text)
    assert found.faults == [] and (found.memories.used[0].banks, found.memories.used[0].type) == (4, "ram_2p")


def test_accesses_by_pointers_from_a_table_are_refused(audit: Run) -> None:
    text = planted(
        "    uint32_t total = 0;",
        "    static uint16_t a[64], b[64], c[64], d[64];\n"
        "    uint16_t *const table[4] = {a, b, c, d};\n    uint32_t total = 0;",
    ).replace("total += sum;", "total += sum + table[i & 3][i & 63];\n        table[(i + 1) & 3][i & 63] = weight;")
    assert any("SUM: top.cpp:" in f and "by a pointer that is not known" in f for f in audit(text).faults)


def test_copying_an_array_as_a_whole_in_a_pipeline_is_refused(audit: Run) -> None:
    text = planted(
        "    uint32_t total = 0;",
        "    struct Line {\n        uint16_t words[64];\n    };\n    static Line from[4], to;\n    uint32_t total = 0;",
    ).replace(
        "total += sum;",
        "from[i & 3].words[i & 63] = weight;\n        to = from[(i >> 2) & 3];\n        total += to.words[i & 63];",
    )
    assert any("`to.words` as a whole" in f for f in audit(text).faults)


def test_a_port_moves_one_word_a_cycle(audit: Run) -> None:
    (fault,) = audit(
        planted("const uint64_t word = words[i];", "const uint64_t word = words[i] ^ words[i + 9];")
    ).faults
    assert "LOAD reads bundle gmem 2 times" in fault


def test_a_loop_left_in_a_pipeline_is_found(audit: Run) -> None:
    text = planted(
        "        total += sum;",
        "    EXTRA:\n        for (uint32_t k = 0; k < weight; ++k) {\n#pragma HLS LOOP_TRIPCOUNT min = 1 max = 4\n"
        "            sum ^= sum << 3;\n        }\n        total += sum;",
    )
    assert any("EXTRA in the pipelined SUM is not unrolled" in fault for fault in audit(text).faults)


def test_division_and_floating_point_are_refused(audit: Run) -> None:
    assert any(
        "divides by other than a power of two" in f
        for f in audit(planted("total += sum;", "total += sum / (count | 1);")).faults
    )
    with pytest.raises(AuditError, match="floating point"):
        audit(planted("total += sum;", "total += static_cast<uint32_t>(static_cast<float>(sum) * 0.5f);"))


def test_sources_that_do_not_compile_are_refused(audit: Run) -> None:
    with pytest.raises(AuditError, match="does not compile"):
        audit(planted("total += sum;", "total += summ;"))


# --- known points: what synthesis gave for single units ---

REQUANTISE = """
#include <cstdint>
extern "C" void top(const int32_t acc[64], const uint16_t m[64], const uint8_t s[64], uint8_t out[64]) {
LOOP:
    for (uint8_t i = 0; i < 64; ++i) {
#pragma HLS PIPELINE II = 1
        const int64_t product = static_cast<int64_t>(acc[i]) * m[i];
        const int64_t scaled = SCALED;
        out[i] = scaled < 0 ? 0 : scaled > 255 ? 255 : static_cast<uint8_t>(scaled);
    }
}
"""
XNOR = """
#include <cstdint>
extern "C" void top(const uint64_t a[64], const uint64_t b[64], const uint64_t c[64], const uint64_t d[64],
                    const uint64_t m[64], const uint64_t n[64], const int16_t t[64], uint8_t out[64]) {
    int16_t sum = 0;
LOOP:
    for (uint8_t i = 0; i < 64; ++i) {
#pragma HLS PIPELINE II = 1
        const int count = __builtin_popcountll(~(a[i] ^ b[i]) & m[i]) + __builtin_popcountll(~(c[i] ^ d[i]) & n[i]);
        sum = static_cast<int16_t>(sum + count);
        out[i] = sum >= t[i];
    }
}
"""


@pytest.mark.parametrize(
    "text, dsp, lut",
    [
        (
            REQUANTISE.replace("SCALED", "(product + (static_cast<int64_t>(1) << ((s[i] - 1) & 63))) >> (s[i] & 63)"),
            2,
            327,
        ),
        (REQUANTISE.replace("SCALED", "((product >> ((s[i] - 1) & 63)) + 1) >> 1"), 2, 180),
        (XNOR, 0, 290),
    ],
    ids=["requantise, 64 bits", "requantise, 48 bits", "XNOR and popcount, 128 bits"],
)
def test_single_units_come_to_what_synthesis_gave(audit: Run, text: str, dsp: int, lut: int) -> None:
    """yosys gave these LUTs; the count has to be on the careful side, and not far off."""
    found = audit(text)
    kinds = found.fabric.units["@top"].lut
    counted = sum(amount for kind, amount in kinds.items() if kind not in ("control", "shift registers"))
    assert found.dsp() == dsp
    assert lut <= counted <= 1.7 * lut


UNIT = """
#include <cstdint>
extern "C" void top(const uint32_t a[64], const uint32_t b[64], const uint32_t c[64], const int64_t w[64],
                    uint32_t *out) {
LOOP:
    for (uint8_t i = 0; i < 64; ++i) {
#pragma HLS PIPELINE II = 1
        BODY
    }
}
"""
ROTATE = """
        uint8_t lanes[16];
#pragma HLS ARRAY_PARTITION variable = lanes complete
    FILL:
        for (int lane = 0; lane < 16; ++lane) {
#pragma HLS UNROLL
            lanes[lane] = static_cast<uint8_t>(w[4 * i + lane / 8] >> (8 * (lane % 8)));
        }
    TURN:
        for (uint32_t lane = 0; lane < 16; ++lane) {
#pragma HLS UNROLL
            out[16 * i + lane] = lanes[(lane + a[i]) % 16];
        }
"""


@pytest.mark.parametrize(
    "body, kind, lut",
    [
        ("out[i] = a[i] < b[i];", "comparators", 22),
        ("out[i] = static_cast<uint16_t>(a[i]) == static_cast<uint16_t>(b[i]);", "comparators", 9),
        ("out[i] = a[i] & 1 ? a[i] : b[i] & 1 ? b[i] : c[i];", "multiplexers", 32),
        ("reinterpret_cast<int64_t *>(out)[i] = (w[i] >> 16) >> (a[i] & 63);", "shifters", 217),
        ("out[i] = (static_cast<int32_t>(static_cast<int8_t>(a[i])) << 16) + static_cast<int8_t>(b[i]);", "adders", 8),
        (ROTATE, "multiplexers", 305),
    ],
    ids=["32 < 32", "16 == 16", "two choices of 32", "48 >> 6", "pack two bytes", "rotate 16 bytes"],
)
def test_single_operations_come_near_to_what_synthesis_gave(audit: Run, body: str, kind: str, lut: int) -> None:
    """yosys 0.70, `synth_xilinx -family xc7`, between registers."""

    def luts(inside: str) -> float:
        kinds = audit(UNIT.replace("BODY", inside)).fabric.units["@top"].lut
        return kinds[kind] + (kinds["gates"] if kind == "comparators" else 0)

    assert 0.8 * lut <= luts(body) - luts("out[i] = a[i];") <= 2 * lut


# The engine's own units (hls_src/units.cpp): LUTs for logic and DSPs of yosys 0.70 by `python -m audit.beside`, whose
# table is in the engine's page.
BESIDE = {
    "unit_bits": (355, 0),
    "unit_requantise": (276, 2),
    "unit_bytes": (714, 16),
    "unit_read": (975, 0),
    "unit_write": (821, 0),
    "unit_select": (1015, 0),
    "unit_step": (3036, 0),
}


def test_the_units_beside_synthesis_are_all_that_there_are() -> None:
    assert list(BESIDE) == beside.units()


@pytest.mark.parametrize("name", BESIDE)
def test_units_of_the_engine_are_not_counted_far_below_synthesis(name: str) -> None:
    audit = Audit(beside.UNITS, name)
    ((unit, loop),) = beside.pipelines(audit)
    count, (lut, dsp) = beside.counted(audit, unit, loop), BESIDE[name]
    assert count.dsp == dsp
    assert 0.85 * lut <= count.lut <= 1.5 * lut
    text = Pipeline(audit.fabric, unit, loop).text
    assert text.startswith("module unit(") and "None" not in text
    assert text.count("$signed(") >= dsp


def test_the_main_loop_is_counted_as_synthesis_has_it(engine: Audit) -> None:
    """LUTs not below it, and not far above; registers of sums once, not for each round of the schedule."""
    ((unit, loop),) = [(u, one) for u, one in beside.pipelines(engine) if one.name == "TAPS"]
    count = beside.counted(engine, unit, loop)
    assert count.dsp == 178
    assert 29_336 <= count.lut <= 1.15 * 29_336
    assert 0.9 * 19_898 <= count.ff <= 1.15 * 19_898


def test_every_pipeline_of_the_engine_can_be_written_as_verilog(engine: Audit) -> None:
    for unit, loop in beside.pipelines(engine):
        text = Pipeline(engine.fabric, unit, loop).text
        names = set(re.findall(r"\b[virocm]\d+\b", text))
        made = set(re.findall(r"(?:wire|reg|input|output) (?:\[\d+:0\] )?([virocm]\d+)\b", text))
        assert names and names == made, loop.name


def test_functions_that_take_turns_at_a_port_have_a_multiplexer(audit: Run) -> None:
    def luts(text: str) -> float:
        return audit(text).fabric.units["@top"].lut["multiplexers"]

    second = planted("    uint32_t total = 0;", "    uint32_t total = static_cast<uint32_t>(words[7]);")
    assert luts(second) - luts(GOOD) >= 48  # the address and length of a second reader


def test_parts_that_take_turns_at_a_memory_have_a_multiplexer(audit: Run) -> None:
    """Four banks of 1024 words: a third user's 10 bits of address each, half a LUT a bit."""

    def luts(text: str) -> float:
        return audit(text).fabric.memory.lut["multiplexers"]

    third = planted("    *result = total;", "    *result = total + buffer[weight & 1023][0];")
    assert luts(GOOD) == 0 and luts(third) == 4 * 10 / 2


def test_the_words_that_a_port_has_under_way_are_block_ram(audit: Run) -> None:
    """16 bursts of 16 words each way, if nothing is said: two blocks of 18 Kbit; of 8 times 128 words, four."""
    longer = planted(
        "bundle = gmem\n",
        "bundle = gmem max_read_burst_length = 128 num_read_outstanding = 8\n",
    )
    assert audit(GOOD).fabric.bram18 == 4 and audit(longer).fabric.bram18 == 2 + 4


def test_a_circle_through_a_condition_that_is_longer_than_a_cycle_is_noted(audit: Run) -> None:
    text = planted(
        "        total += sum;",
        "        if (((((total + sum) ^ count) + weight) & 1023) == 5) {\n"
        "            buffer[(i + 1) & 1023][0] = weight;\n            total = sum;\n        }\n        total += 1;",
    )
    found = audit(text)
    assert found.faults == [] and any(
        "SUM: " in note and "from one iteration to the next" in note for note in found.notes
    )
    assert not any("to the next" in note for note in audit(GOOD).notes)


# --- planted faults that the syntax tree shows ---

FAULTS = {
    "new": (
        "uint32_t total = 0;",
        "uint32_t total = 0;\n    uint32_t *more = new uint32_t[4];\n    total = more[0];",
        "`new`",
    ),
    "malloc": ("uint32_t total = 0;", "uint32_t total = __builtin_malloc(4) == nullptr;", "`__builtin_malloc`"),
    "recursion": (
        "return (value & 0xFFFF) * weight;",
        "return weight ? weigh(value, static_cast<uint16_t>(weight - 1)) : value;",
        "`weigh` calls itself",
    ),
    "a loop without a label": ("LOAD:\n", "", "a loop without a label"),
    "no bound": ("#pragma HLS LOOP_TRIPCOUNT min = 1 max = 1024\n", "", "LOAD has no fixed bound"),
    "endless": ("for (uint32_t i = 0; i < count; ++i)", "for (uint32_t i = 0;; ++i)", "has no condition to end"),
    "a reserved word of SystemVerilog": ("count", "program", "`program` is a reserved word of SystemVerilog"),
    "a reserved word of VHDL": ("weight", "signal", "`signal` is a reserved word of VHDL"),
    "a reserved word of all": ("result", "begin", "`begin` is a reserved word of Verilog and SystemVerilog and VHDL"),
    "a reserved word as bundle": ("bundle = gmem", "bundle = buffer", "`buffer` is a reserved word of VHDL"),
    "a port without interface": (
        "#pragma HLS INTERFACE s_axilite port = count bundle = control\n",
        "",
        "`count` has no",
    ),
    "a misspelt pragma": ("#pragma HLS PIPELINE", "#pragma HLS PIPELINED", "no `#pragma HLS PIPELINED`"),
    "a misspelt option": ("variable = buffer type", "variable = buffer typ", "no option `typ`"),
    "a memory that does not exist": ("type = ram_2p", "type = ram_3p", "`type` is one of"),
    "a partition that does not exist": ("complete dim = 2", "full dim = 2", "no `full`"),
    "a pragma in a macro": (
        "#include <cstdint>",
        '#include <cstdint>\n#define PIPE _Pragma("HLS PIPELINE II = 1")',
        "`_Pragma`: write a line",
    ),
    "a pragma on nothing": (
        "variable = buffer complete",
        "variable = bufer complete",
        "`bufer`, which top does not have",
    ),
    "a vague width": ("uint32_t total = 0;", "unsigned long total = 0;", "use an integer of fixed width"),
    "a short": ("uint32_t sum = 0;", "short sum = 0;", "use an integer of fixed width"),
    "a fast type": (
        "int lane = 0; lane < LANES",
        "uint_fast8_t lane = 0; lane < LANES",
        "use an integer of fixed width",
    ),
    "a float": (
        "uint32_t sum = 0;",
        "uint32_t sum = 0;\n        float half = 0.5f;\n        sum = half > 1;",
        "counts in integers",
    ),
    "a function pointer": (
        "uint32_t total = 0;",
        "uint32_t total = 0;\n    uint32_t (*call)(uint32_t, uint16_t) = weigh;\n    total = call(total, weight);",
        "function pointer",
    ),
    "a virtual call": (
        "constexpr int LANES = 4;",
        "constexpr int LANES = 4;\nstruct Base {\n    virtual uint32_t get() { return 1; }\n};",
        "`get` is virtual",
    ),
    "a standard container": (
        "#include <cstdint>",
        "#include <array>\n#include <cstdint>\nnamespace {\nstd::array<uint32_t, 4> shelf;\n}",
        "standard library",
    ),
    "a header": ("#include <cstdint>", "#include <cstdint>\n#include <vector>", "<vector> is not for synthesis"),
    "goto": ("    *result = total;", "    if (total == 1) goto SUM;\n    *result = total;", "`goto`"),
    "C++17": ("    load(words, count, buffer);", "    if (uint32_t n = count; n) load(words, n, buffer);", "C++17"),
}


def test_a_good_source_breaches_no_rule(tmp_path: Path) -> None:
    assert breaches(tmp_path, GOOD) == []


@pytest.mark.parametrize("old, new, message", FAULTS.values(), ids=FAULTS)
def test_a_planted_breach_is_found(tmp_path: Path, old: str, new: str, message: str) -> None:
    found = breaches(tmp_path, planted(old, new))
    assert any(message in one for one in found), found
    assert all(one.startswith("top.cpp") for one in found)


def test_recursion_by_way_of_another_function_is_found(tmp_path: Path) -> None:
    text = planted(
        "inline uint32_t weigh",
        "uint32_t weigh(uint32_t value, uint16_t weight);\n"
        "template <int N>\nuint32_t again(uint32_t value) {\n    return weigh(value, N);\n}\n"
        "inline uint32_t weigh",
    ).replace("return (value & 0xFFFF) * weight;", "return again<3>(value) * weight;")
    found = breaches(tmp_path, text)
    assert any("`weigh` calls itself" in one for one in found) and any("`again` calls itself" in one for one in found)


# --- the command ---


@pytest.mark.parametrize("name", ["budget", "multipliers", "memories", "hardware", "reserved"])
def test_the_examples_of_the_docstrings(name: str) -> None:
    tried = doctest.testmod(importlib.import_module(f"audit.{name}"))
    assert tried.attempted and not tried.failed


def test_the_command_fails_for_a_fault_and_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "KNOWN", {})
    (tmp_path / "top.cpp").write_text(planted("count", "program"))
    words = ["--source", str(tmp_path / "top.cpp"), "--top", "top"]
    assert main(words) == 1 and "fault: top.cpp: the port `program`" in capsys.readouterr().out
    (tmp_path / "top.cpp").write_text(GOOD)
    assert main(words) == 0 and "| **sum** | **4** |" in capsys.readouterr().out
    monkeypatch.setattr(report, "KNOWN", {"DSP: ": "so far"})
    assert main(words) == 1 and "`DSP:` is mended: take it off KNOWN" in capsys.readouterr().out


def test_the_command_says_what_it_cannot_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "top.cpp").write_text("int nothing;")
    assert main(["--source", str(tmp_path / "top.cpp"), "--top", "top"]) == 2
    assert "no function top" in capsys.readouterr().err


def test_another_clang_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(toolchain, "PACKAGES", ("ziglang==0.1.0", "libclang==18.1.1"))
    (tmp_path / "top.cpp").write_text(GOOD)
    assert main(["--source", str(tmp_path / "top.cpp"), "--top", "top"]) == 2
    assert "another clang counts otherwise; pip install ziglang==0.1.0" in capsys.readouterr().err


def test_what_is_known_is_said_with_a_reason() -> None:
    assert all(reason for reason in budget.KNOWN.values())
