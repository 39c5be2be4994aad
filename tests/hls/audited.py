"""The audit (hls_src/audit), and a source with nothing wrong, in which faults are planted."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("ziglang", reason="needs clang: pip install ziglang==0.13.0 libclang==18.1.1")
pytest.importorskip("clang.cindex", reason="needs libclang: pip install ziglang==0.13.0 libclang==18.1.1")

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "hls_src"))

from audit import beside, budget, report, rules, tables, toolchain  # noqa: E402
from audit.__main__ import main, top_of  # noqa: E402
from audit.report import Audit  # noqa: E402
from audit.source import Source  # noqa: E402
from audit.toolchain import AuditError  # noqa: E402
from audit.verilog import Pipeline  # noqa: E402

Run = Callable[..., Audit]
__all__ = [
    "GOOD",
    "ROOT",
    "Audit",
    "AuditError",
    "Pipeline",
    "Run",
    "beside",
    "breaches",
    "budget",
    "main",
    "planted",
    "report",
    "tables",
    "toolchain",
    "top_of",
]

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


def breaches(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / "top.cpp").write_text(text)
    return rules.check(Source(tmp_path / "top.cpp", "top"))
