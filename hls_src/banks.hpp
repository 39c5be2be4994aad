// Feature-map buffers: SIMD byte-wide banks, so that SIMD consecutive bytes can be read or written at any address in one cycle.
//
// Byte `a` is in bank a % SIMD, row a / SIMD. A vector that starts inside a row takes its first lanes from that row and the rest from the next: each bank
// still serves one access. Addresses wrap, which makes each buffer a ring that consecutive tiles slide through.
#pragma once

#include "geometry.hpp"

namespace pcnn {

// Lanes 0..SIMD-1 are the bytes at address, address + 1, ... ROWS is a power of two. One read port of each bank.
template <int ROWS>
inline void read_lanes(const uint8_t banks[ROWS][SIMD], uint32_t address, uint8_t lanes[SIMD]) {
#pragma HLS INLINE
    const uint32_t row = address / SIMD;
    const uint32_t offset = address % SIMD;
    uint8_t line[SIMD];
#pragma HLS ARRAY_PARTITION variable = line complete
READ_BANKS:
    for (uint32_t bank = 0; bank < SIMD; ++bank) {
#pragma HLS UNROLL
        line[bank] = banks[(row + (bank < offset ? 1 : 0)) & (ROWS - 1)][bank];
    }
READ_ROTATE:
    for (uint32_t lane = 0; lane < SIMD; ++lane) {
#pragma HLS UNROLL
        lanes[lane] = line[(lane + offset) % SIMD];
    }
}

// Writes the first `count` lanes (1..SIMD) at address, address + 1, ... One write port of each bank.
template <int ROWS>
inline void write_lanes(uint8_t banks[ROWS][SIMD], uint32_t address, const uint8_t lanes[SIMD], uint32_t count) {
#pragma HLS INLINE
    const uint32_t row = address / SIMD;
    const uint32_t offset = address % SIMD;
WRITE_BANKS:
    for (uint32_t bank = 0; bank < SIMD; ++bank) {
#pragma HLS UNROLL
        const uint32_t lane = (bank - offset) % SIMD;
        if (lane < count) banks[(row + (bank < offset ? 1 : 0)) & (ROWS - 1)][bank] = lanes[lane];
    }
}

// An aligned 64-bit word: half of the banks.
template <int ROWS>
inline uint64_t read_word(const uint8_t banks[ROWS][SIMD], uint32_t word) {
#pragma HLS INLINE
    const uint32_t row = (word / 2) & (ROWS - 1);
    uint64_t value = 0;
READ_WORD:
    for (int byte = 0; byte < WORD_BYTES; ++byte) {
#pragma HLS UNROLL
        const uint8_t lane = word & 1 ? banks[row][WORD_BYTES + byte] : banks[row][byte];
        value |= static_cast<uint64_t>(lane) << (8 * byte);
    }
    return value;
}

template <int ROWS>
inline void write_word(uint8_t banks[ROWS][SIMD], uint32_t word, uint64_t value) {
#pragma HLS INLINE
    const uint32_t row = (word / 2) & (ROWS - 1);
WRITE_WORD:
    for (uint32_t bank = 0; bank < SIMD; ++bank) {
#pragma HLS UNROLL
        if (bank / WORD_BYTES == (word & 1)) banks[row][bank] = static_cast<uint8_t>(value >> (8 * (bank % WORD_BYTES)));
    }
}

}  // namespace pcnn
