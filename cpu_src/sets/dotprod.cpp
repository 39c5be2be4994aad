// 64-bit ARM with products of four bytes. They are of signed bytes: 128 is taken off each input, and what that takes
// off the sums is in the bias.
#include "../processor.hpp"

#if PCNN_AARCH64
#include <sys/auxv.h>

#include <cstdint>
#include <cstring>

#include "../step.hpp"

#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+dotprod")
#include <arm_neon.h>

namespace pcnn_cpu {
namespace dotprod {

static const char *const NAME = "dotprod";
enum { LANES = 4, ROWS = 8, BLOCKS = 2, STEP_COST = 1, FRACTION = 31, EXCESS = 128 };

#include "../vectors.hpp"

static bool supported() { return getauxval(AT_HWCAP) >> 20 & 1; }  // HWCAP_ASIMDDP

static void put(uint8_t *cell, int lane, int k, int weight) { cell[4 * lane + k] = static_cast<uint8_t>(weight); }

struct Bytes {
    enum { BLOCK = 1 << 30, CELL = 16 };
    typedef int32x4_t Sum;
    typedef int8x16_t X;
    typedef int8x16_t W;
    static inline X spread(const uint8_t *from) { return vreinterpretq_s8_u32(vdupq_n_u32(four(from) ^ 0x80808080u)); }
    static inline W weights(const uint8_t *from) { return load<int8x16_t>(from); }
    static inline Sum step(Sum sum, X x, W w) { return vdotq_s32(sum, w, x); }
    static inline I32 fold(Sum sum) { return (I32)sum; }
    static inline I32 total(I32 bias, I32 sum) { return bias + sum; }
};

#include "neon.hpp"

#include "../set.hpp"

}  // namespace dotprod
}  // namespace pcnn_cpu

#pragma GCC pop_options
#endif
