// Feature maps: SIMD byte-wide banks, so that SIMD bytes are read or written at any address in one cycle.
//
// Byte `a` is in bank a % SIMD, row a / SIMD. Lane l is the byte at `address + l * (spread * SIMD + 1)`: SIMD
// consecutive bytes with a spread of 0, else the same byte of SIMD images that lie so far apart. Either way lane l is
// in bank (address + l) % SIMD: every lane has a bank of its own, and each bank serves one access. Addresses wrap at
// the size of the memory.
#pragma once

#include "geometry.hpp"

namespace pcnn {

// The rows of all banks follow from the row of `address` by one addition each. Bank b has lane l = (b - turn) mod SIMD,
// with turn = address % SIMD, in row address / SIMD + l * spread, and one more where lane l is past the end of a row: b
// < turn. As l is b - turn, or SIMD more there, that is (address / SIMD - turn * spread) + (b * spread), and SIMD *
// spread + 1 more where b < turn.
struct Spread {
    uint32_t turned[SIMD];   // turn * spread
    uint32_t ahead[SIMD];    // b * spread
    uint32_t wrapped[SIMD];  // b * spread + SIMD * spread + 1
};

inline void spread_of(uint32_t spread, Spread &s) {
#pragma HLS INLINE
    uint32_t sum = 0;
SPREAD_BANKS:
    for (int bank = 0; bank < SIMD; ++bank) {
#pragma HLS UNROLL
        s.turned[bank] = sum & (FEATURE_MAP_ROWS - 1);
        s.ahead[bank] = sum & (FEATURE_MAP_ROWS - 1);
        s.wrapped[bank] = (sum + spread * SIMD + 1) & (FEATURE_MAP_ROWS - 1);
        sum += spread;
    }
}

// One read port of each bank.
inline void read_lanes(const uint8_t banks[FEATURE_MAP_ROWS][SIMD], uint32_t address, const Spread &spread,
                       uint8_t lanes[SIMD]) {
#pragma HLS INLINE
    const uint32_t turn = address & (SIMD - 1);
    const uint32_t start = ((address / SIMD) - spread.turned[turn]) & (FEATURE_MAP_ROWS - 1);
    uint8_t line[SIMD];
#pragma HLS ARRAY_PARTITION variable = line complete
READ_BANKS:
    for (uint32_t bank = 0; bank < SIMD; ++bank) {
#pragma HLS UNROLL
        line[bank] =
            banks[(start + (bank < turn ? spread.wrapped[bank] : spread.ahead[bank])) & (FEATURE_MAP_ROWS - 1)][bank];
    }
READ_ROTATE:
    for (uint32_t lane = 0; lane < SIMD; ++lane) {
#pragma HLS UNROLL
        lanes[lane] = line[(lane + turn) & (SIMD - 1)];
    }
}

// Writes the first `count` lanes, 0..SIMD. One write port of each bank.
inline void write_lanes(uint8_t banks[FEATURE_MAP_ROWS][SIMD], uint32_t address, const Spread &spread,
                        const uint8_t lanes[SIMD], uint32_t count) {
#pragma HLS INLINE
    const uint32_t turn = address & (SIMD - 1);
    const uint32_t start = ((address / SIMD) - spread.turned[turn]) & (FEATURE_MAP_ROWS - 1);
WRITE_BANKS:
    for (uint32_t bank = 0; bank < SIMD; ++bank) {
#pragma HLS UNROLL
        const uint32_t lane = (bank - turn) & (SIMD - 1);
        if (lane < count)
            banks[(start + (bank < turn ? spread.wrapped[bank] : spread.ahead[bank])) & (FEATURE_MAP_ROWS - 1)][bank] =
                lanes[lane];
    }
}

// WORD_BYTES consecutive bytes at any address.
inline void write_word(uint8_t banks[FEATURE_MAP_ROWS][SIMD], uint32_t address, uint64_t word) {
#pragma HLS INLINE
    const uint32_t turn = address & (SIMD - 1);
    const uint32_t row = address / SIMD;
    uint8_t bytes[WORD_BYTES];
#pragma HLS ARRAY_PARTITION variable = bytes complete
SPLIT_WORD:
    for (int byte = 0; byte < WORD_BYTES; ++byte) {
#pragma HLS UNROLL
        bytes[byte] = static_cast<uint8_t>(word >> (8 * byte));
    }
WRITE_WORD:
    for (uint32_t bank = 0; bank < SIMD; ++bank) {
#pragma HLS UNROLL
        const uint32_t byte = (bank - turn) & (SIMD - 1);
        if (byte < WORD_BYTES)
            banks[(row + (bank < turn ? 1 : 0)) & (FEATURE_MAP_ROWS - 1)][bank] = bytes[byte & (WORD_BYTES - 1)];
    }
}

inline uint64_t read_word(const uint8_t banks[FEATURE_MAP_ROWS][SIMD], uint32_t address) {
#pragma HLS INLINE
    const uint32_t turn = address & (SIMD - 1);
    const uint32_t row = address / SIMD;
    uint8_t line[SIMD];
#pragma HLS ARRAY_PARTITION variable = line complete
READ_LINE:
    for (uint32_t bank = 0; bank < SIMD; ++bank) {
#pragma HLS UNROLL
        line[bank] = banks[(row + (bank < turn ? 1 : 0)) & (FEATURE_MAP_ROWS - 1)][bank];
    }
    uint64_t word = 0;
READ_WORD:
    for (uint32_t byte = 0; byte < WORD_BYTES; ++byte) {
#pragma HLS UNROLL
        word |= static_cast<uint64_t>(line[(byte + turn) & (SIMD - 1)]) << (8 * byte);
    }
    return word;
}

}  // namespace pcnn
