"""Counts of the audit for a source, and the faults that it finds in its pipelines."""

from __future__ import annotations

import pytest
from audited import GOOD, AuditError, Run, planted

pytestmark = pytest.mark.once


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


def test_functions_that_take_turns_at_a_port_have_a_multiplexer(audit: Run) -> None:
    def luts(text: str) -> float:
        return audit(text).fabric.units["@top"].lut["multiplexers"]

    second = planted("    uint32_t total = 0;", "    uint32_t total = static_cast<uint32_t>(words[7]);")
    assert luts(second) - luts(GOOD) >= 48  # the address and length of a second reader


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
