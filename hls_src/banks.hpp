// Feature maps: SIMD byte-wide banks, so that SIMD bytes are read or written at any address in one cycle.
//
// Byte `a` is in bank a % SIMD, row a / SIMD. Lane l is the byte at `address + offset[l]`, with offset[l] = l modulo SIMD: consecutive bytes
// (offset[l] = l), or the same byte of SIMD images that are 1 modulo SIMD apart. Either way every lane is in a bank of its own, that of lane
// (bank - address) % SIMD, and each bank serves one access. Addresses wrap at the size of the memory.
#pragma once

#include "geometry.hpp"

namespace pcnn {

// One read port of each bank.
inline void read_lanes(const uint8_t banks[FEATURE_MAP_ROWS][SIMD], uint32_t address, const uint32_t offset[SIMD], uint8_t lanes[SIMD]) {
#pragma HLS INLINE
    const uint32_t turn = address & (SIMD - 1);
    uint32_t row[SIMD];
    uint8_t line[SIMD];
#pragma HLS ARRAY_PARTITION variable = row complete
#pragma HLS ARRAY_PARTITION variable = line complete
READ_ROWS:
    for (uint32_t lane = 0; lane < SIMD; ++lane) {
#pragma HLS UNROLL
        row[lane] = ((address + offset[lane]) / SIMD) & (FEATURE_MAP_ROWS - 1);
    }
READ_BANKS:
    for (uint32_t bank = 0; bank < SIMD; ++bank) {
#pragma HLS UNROLL
        line[bank] = banks[row[(bank - turn) & (SIMD - 1)]][bank];
    }
READ_ROTATE:
    for (uint32_t lane = 0; lane < SIMD; ++lane) {
#pragma HLS UNROLL
        lanes[lane] = line[(lane + turn) & (SIMD - 1)];
    }
}

// Writes the first `count` lanes, 0..SIMD. One write port of each bank.
inline void write_lanes(uint8_t banks[FEATURE_MAP_ROWS][SIMD], uint32_t address, const uint32_t offset[SIMD], const uint8_t lanes[SIMD],
                        uint32_t count) {
#pragma HLS INLINE
    const uint32_t turn = address & (SIMD - 1);
    uint32_t row[SIMD];
#pragma HLS ARRAY_PARTITION variable = row complete
WRITE_ROWS:
    for (uint32_t lane = 0; lane < SIMD; ++lane) {
#pragma HLS UNROLL
        row[lane] = ((address + offset[lane]) / SIMD) & (FEATURE_MAP_ROWS - 1);
    }
WRITE_BANKS:
    for (uint32_t bank = 0; bank < SIMD; ++bank) {
#pragma HLS UNROLL
        const uint32_t lane = (bank - turn) & (SIMD - 1);
        if (lane < count) banks[row[lane]][bank] = lanes[lane];
    }
}

// offset[l] = l * step.
inline void lane_offsets(uint32_t step, uint32_t offset[SIMD]) {
#pragma HLS INLINE
    uint32_t sum = 0;
LANE_OFFSETS:
    for (int lane = 0; lane < SIMD; ++lane) {
#pragma HLS UNROLL
        offset[lane] = sum;
        sum += step;
    }
}

}  // namespace pcnn
