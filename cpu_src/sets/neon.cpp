// NEON without products of four bytes: the board's Cortex-A9, and 64-bit ARM up to ARMv8.1.
#include "../processor.hpp"

#if PCNN_ARM || PCNN_AARCH64
#include <sys/auxv.h>

#include <cstdint>
#include <cstring>

#include "../step.hpp"

#if PCNN_ARM
#pragma GCC push_options
#pragma GCC target("fpu=neon")
#endif
#include <arm_neon.h>

namespace pcnn_cpu {
namespace neon {

static const char *const NAME = "neon";
enum { LANES = 4, ROWS = PCNN_ARM ? 4 : 8, BLOCKS = 2, STEP_COST = 4, FRACTION = 31, EXCESS = 0 };

#include "../vectors.hpp"

static bool supported() {
#if PCNN_ARM
    return getauxval(AT_HWCAP) >> 12 & 1;  // HWCAP_NEON; 64-bit ARM always has it
#else
    return true;
#endif
}

// A cell: of each input the weights of all lanes, 16 bits each.
static void put(uint8_t *cell, int lane, int k, int weight) {
    const int16_t wide = static_cast<int16_t>(weight);
    memcpy(cell + 8 * k + 2 * lane, &wide, 2);
}

struct Bytes {
    enum { BLOCK = 1 << 30, CELL = 32 };
    typedef int32x4_t Sum;
    typedef int16x4_t X;
    struct W {
        int16x8_t first, second;
    };
    static inline X spread(const uint8_t *from) {
        return vreinterpret_s16_u16(vget_low_u16(vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four(from))))));
    }
    static inline W weights(const uint8_t *from) { return {load<int16x8_t>(from), load<int16x8_t>(from + 16)}; }
    static inline Sum step(Sum sum, X x, const W &w) {
        sum = vmlal_lane_s16(sum, vget_low_s16(w.first), x, 0);
        sum = vmlal_lane_s16(sum, vget_high_s16(w.first), x, 1);
        sum = vmlal_lane_s16(sum, vget_low_s16(w.second), x, 2);
        return vmlal_lane_s16(sum, vget_high_s16(w.second), x, 3);
    }
    static inline I32 fold(Sum sum) { return (I32)sum; }
    static inline I32 total(I32 bias, I32 sum) { return bias + sum; }
};

#include "neon.hpp"

#include "../set.hpp"

}  // namespace neon
}  // namespace pcnn_cpu

#if PCNN_ARM
#pragma GCC pop_options
#endif
#endif
