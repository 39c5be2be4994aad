// Bits times bits: BIT_PE x 8 SIMD of them a cycle, by XOR and counting (docs/contract/numerics.md, section 6).
#pragma once

#include "geometry.hpp"

namespace pcnn {

inline uint32_t ones_of_byte(uint8_t byte) {
#pragma HLS INLINE
    uint32_t ones = 0;
COUNT_BITS:
    for (int bit = 0; bit < 8; ++bit) {
#pragma HLS UNROLL
        ones += (byte >> bit) & 1;
    }
    return ones;
}

// How many bits of the lanes inside differ between the activations and one row of weights.
inline int32_t differing_bits(const uint8_t activation[SIMD], const uint8_t weight[SIMD], const bool inside[SIMD]) {
#pragma HLS INLINE
    uint32_t count = 0;
DIFFERING_LANES:
    for (int lane = 0; lane < SIMD; ++lane) {
#pragma HLS UNROLL
        const uint8_t differing =
            inside[lane] ? static_cast<uint8_t>(activation[lane] ^ weight[lane]) : static_cast<uint8_t>(0);
        count += ones_of_byte(differing);
    }
    return static_cast<int32_t>(count);
}

// How many channels the lanes inside have.
inline int32_t channels_inside(const uint8_t channels[SIMD], const bool inside[SIMD]) {
#pragma HLS INLINE
    uint32_t count = 0;
CHANNEL_LANES:
    for (int lane = 0; lane < SIMD; ++lane) {
#pragma HLS UNROLL
        count += inside[lane] ? channels[lane] & 15 : 0;
    }
    return static_cast<int32_t>(count);
}

}  // namespace pcnn
