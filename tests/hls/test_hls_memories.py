"""Faults that the audit finds at memories: banks, ports, partitions."""

from __future__ import annotations

import pytest
from audited import GOOD, Run, planted, tables

pytestmark = pytest.mark.once


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
    lines = tables.accesses(audit(GOOD)).splitlines()[2:]
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


def test_parts_that_take_turns_at_a_memory_have_a_multiplexer(audit: Run) -> None:
    """Four banks of 1024 words: a third user's 10 bits of address each, half a LUT a bit."""

    def luts(text: str) -> float:
        return audit(text).fabric.memory.lut["multiplexers"]

    third = planted("    *result = total;", "    *result = total + buffer[weight & 1023][0];")
    assert luts(GOOD) == 0 and luts(third) == 4 * 10 / 2
