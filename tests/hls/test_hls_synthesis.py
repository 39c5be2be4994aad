"""Single units and operations come to what synthesis gave."""

from __future__ import annotations

import pytest
from audited import Run

pytestmark = pytest.mark.once

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
