// What every processor of this kind can do: SSE2 on x86-64; elsewhere the compiler's vectors of what it compiles for.
#include <cstdint>
#include <cstring>

#include "../step.hpp"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace pcnn_cpu {
namespace baseline {

static const char *const NAME = "baseline";
enum { LANES = 4, ROWS = 4, BLOCKS = 2, STEP_COST = 2, FRACTION = 32, EXCESS = 0 };

#include "../vectors.hpp"

#include "../plain.hpp"

static bool supported() { return true; }

typedef int16_t I16 __attribute__((vector_size(16)));

// A cell: of each lane the weights of inputs 0 and 2 side by side, then those of 1 and 3.
static void put(uint8_t *cell, int lane, int k, int weight) {
    const int16_t wide = static_cast<int16_t>(weight);
    memcpy(cell + 16 * (k % 2) + 4 * lane + 2 * (k / 2), &wide, 2);
}

static int place(int lane) { return lane; }

// Of each lane the sum of two products of 16 bits.
static inline I32 pairs(I16 a, I16 b) {
#if defined(__SSE2__)
    return (I32)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
    I32 sum;
    for (int i = 0; i < LANES; ++i) sum[i] = a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1];
    return sum;
#endif
}

struct Bytes {
    enum { BLOCK = 1 << 30, CELL = 32 };
    typedef I32 Sum;
    struct X {
        I16 even, odd;
    };
    struct W {
        I16 even, odd;
    };
    static inline X spread(const uint8_t *from) {
        const uint32_t bytes = four(from);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#error "written for little-endian processors"
#endif
        return {(I16)all(static_cast<int32_t>(bytes & 0x00ff00ffu)),
                (I16)all(static_cast<int32_t>(bytes >> 8 & 0x00ff00ffu))};
    }
    static inline W weights(const uint8_t *from) { return {load<I16>(from), load<I16>(from + 16)}; }
    static inline Sum step(Sum sum, const X &x, const W &w) {
        return sum + pairs(x.even, w.even) + pairs(x.odd, w.odd);
    }
    static inline I32 fold(Sum sum) { return sum; }
    static inline I32 total(I32 bias, I32 sum) { return bias + sum; }
};

struct Bits {
    enum { BLOCK = 1 << 30, CELL = 4 * LANES };
    typedef I32 Sum;
    typedef U32 X;
    typedef U32 W;
    static inline X spread(const uint8_t *from) { return U32{} + four(from); }
    static inline W weights(const uint8_t *from) { return load<U32>(from); }
    static inline Sum step(Sum sum, X x, W w) { return sum + plain_count(x ^ w); }
    static inline I32 fold(Sum sum) { return sum; }
    static inline I32 total(I32 base, I32 sum) { return base - 2 * sum; }
};

static inline I32 widen(const uint8_t *from) { return plain_widen(from); }
static inline U8 narrow(I32 v) { return __builtin_convertvector(v, U8); }
static inline void store_some(uint8_t *to, const U8 &bytes, int count) { memcpy(to, &bytes, count); }
static inline I32 requantise(I32 acc, const Finish &finish, int lane) { return plain_requantise(acc, finish, lane); }
static inline I32 requantise_quick(I32 acc, const Finish &finish, int lane) {
    return plain_requantise_quick(acc, finish, lane);
}
static inline uint64_t reached(I32 acc, I32 threshold) {
    uint64_t bits = 0;
    for (int i = 0; i < LANES; ++i) bits |= static_cast<uint64_t>(acc[i] >= threshold[i]) << i;
    return bits;
}
static inline I32 multiply_add(I32 sum, I32 byte, I32 weight) {  // `byte` is 0 to 255, `weight` an int8
    return sum + pairs((I16)byte, (I16)weight);
}

#include "../set.hpp"

}  // namespace baseline
}  // namespace pcnn_cpu
