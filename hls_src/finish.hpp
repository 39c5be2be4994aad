// From an accumulator to a byte, and what a pooling window keeps (docs/contract/numerics.md, sections 3 and 4).
#pragma once

#include "geometry.hpp"

namespace pcnn {

struct Parameter {
    int32_t bias;
    uint16_t multiplier;
    uint8_t shift;
};

inline Parameter unpack_parameter(uint64_t word) {
#pragma HLS INLINE
    Parameter p;
    p.bias = static_cast<int32_t>(static_cast<uint32_t>(word));
    p.multiplier = static_cast<uint16_t>(word >> 32);
    p.shift = static_cast<uint8_t>(word >> 48);
    return p;
}

// The lowest BITS bits as a signed number: where the others are copies of the sign, nothing changes but what is stored.
template <int BITS>
inline int32_t lowest(int64_t value) {
#pragma HLS INLINE
    return static_cast<int32_t>(static_cast<uint32_t>(value) << (32 - BITS)) >> (32 - BITS);
}

// clamp(((acc * m + (1 << (s-1))) >> s) + z, low, 255), s from 1 to 47. 32 x 16 bits: two DSPs.
//
// (p + (1 << (s-1))) >> s is ((p >> (s-1)) + 1) >> 1: a shift, an increment and a shift of one place, where the formula
// as written needs a shifter for the constant and an adder of 64 bits.
inline uint8_t requantise(int32_t acc, uint16_t multiplier, uint8_t shift, uint8_t zero_point, uint8_t low) {
#pragma HLS INLINE
    const int64_t product = static_cast<int64_t>(acc) * multiplier;
    const int64_t halves = product >> ((shift - 1) & 63);
    // Where the bits above the lowest 11 are not all alike, the result is beyond what any zero point brings back: 12
    // bits are enough from here on.
    const int64_t above = halves >> 11;
    const int32_t near = above == 0 || above == -1 ? lowest<12>(halves) : above < 0 ? -2048 : 2047;
    const int32_t value = ((near + 1) >> 1) + zero_point;
    return value < low ? low : value > 255 ? 255 : static_cast<uint8_t>(value);
}

}  // namespace pcnn
