// Bytes times int8 weights: PE x SIMD products a cycle, two of them in one multiplier (docs/contract/numerics.md,
// section 2).
#pragma once

#include "geometry.hpp"

namespace pcnn {

// Two products that share an activation.
//
// A DSP48E1 multiplies 25 x 18 bits and adds a constant by its C port. `high * 2^16 + low` of two weights in [-127,
// 127] is 24 bits and a sign. Times a byte, the lower product lies in [-32385, 32385]: with 2^15 added to the whole,
// its low 16 bits are that product plus 2^15, never negative, and the upper bits are the upper product without a
// borrow. Exact for all weights and bytes.
inline void multiply_pair(int8_t high, int8_t low, uint8_t activation, int16_t &product_high, int16_t &product_low) {
#pragma HLS INLINE
    const int32_t product = (static_cast<int32_t>(high) * 65536 + low) * static_cast<int32_t>(activation) + 0x8000;
    product_high = static_cast<int16_t>(product >> 16);
    product_low = static_cast<int16_t>((product & 0xFFFF) ^ 0x8000);
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
            int16_t high, low;
            multiply_pair(weight[pe + 1][lane], weight[pe][lane], activation[lane], high, low);
            sum_high += high;
            sum_low += low;
        }
        result[pe] = sum_low;
        result[pe + 1] = sum_high;
    }
}

}  // namespace pcnn
