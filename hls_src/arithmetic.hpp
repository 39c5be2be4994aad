// The arithmetic units: free functions of plain arrays with fixed bounds, each usable alone (docs/contract/numerics.md).
#pragma once

#include "geometry.hpp"

namespace pcnn {

// Two products that share an activation, in one multiplier.
//
// A DSP48E1 multiplies 25 x 18 bits. `high * 2^16 + low` of two weights in [-127, 127] is 24 bits and a sign; times a byte, the lower
// product lies in [-32385, 32385], so it can be read back from the low 16 bits as a signed number and what is left is the upper product.
// This is what fits 256 multiply-accumulates into 128 of the 220 DSPs.
inline void multiply_pair(int8_t high, int8_t low, uint8_t activation, int32_t &product_high, int32_t &product_low) {
#pragma HLS INLINE
    const int32_t product = (static_cast<int32_t>(high) * 65536 + low) * static_cast<int32_t>(activation);
    product_low = static_cast<int16_t>(product & 0xFFFF);
    product_high = (product - product_low) >> 16;
}

// Dot products of SIMD activations with PE rows of weights.
inline void dot_product(const uint8_t activation[SIMD], const int8_t weight[PE][SIMD], int32_t result[PE]) {
#pragma HLS INLINE
DOT_PE:
    for (int pe = 0; pe < PE; pe += 2) {
#pragma HLS UNROLL
        int32_t sum_high = 0;
        int32_t sum_low = 0;
    DOT_SIMD:
        for (int lane = 0; lane < SIMD; ++lane) {
#pragma HLS UNROLL
            int32_t high, low;
            multiply_pair(weight[pe + 1][lane], weight[pe][lane], activation[lane], high, low);
            sum_high += high;
            sum_low += low;
        }
        result[pe] = sum_low;
        result[pe + 1] = sum_high;
    }
}

// clamp((acc * m + (1 << (s-1))) >> s, 0, 255), s >= 1. 32 x 16 bits: two DSPs.
inline uint8_t requantise(int32_t acc, uint16_t multiplier, uint8_t shift) {
#pragma HLS INLINE
    const int64_t rounded = static_cast<int64_t>(acc) * multiplier + (static_cast<int64_t>(1) << ((shift - 1) & 63));
    const int64_t scaled = rounded >> (shift & 63);
    return scaled < 0 ? 0 : scaled > 255 ? 255 : static_cast<uint8_t>(scaled);
}

// One step of max pooling: the running maximum of a window, restarted at its first pixel.
inline uint8_t pool_step(bool first, uint8_t running, uint8_t value) {
#pragma HLS INLINE
    return first || value > running ? value : running;
}

}  // namespace pcnn
