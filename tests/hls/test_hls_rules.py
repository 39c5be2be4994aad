"""Breaches of the rules of synthesis, which the syntax tree shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from audited import GOOD, breaches, planted

pytestmark = pytest.mark.once

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
