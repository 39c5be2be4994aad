// AVX2. vpmaddubsw would saturate (255 * 127 * 2 > 32767): products are of 16 bits, widened.
#include "../processor.hpp"

#if PCNN_X86
#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "../step.hpp"

#pragma GCC push_options
#pragma GCC target("avx2")

namespace pcnn_cpu {
namespace avx2 {

static const char *const NAME = "avx2";
enum { LANES = 8, ROWS = 4, BLOCKS = 2, STEP_COST = 2, FRACTION = 32, EXCESS = 0 };

#include "../vectors.hpp"

static bool supported() { return __builtin_cpu_supports("avx2"); }

// A cell: of each lane the weights of inputs 0 and 2 side by side, then those of 1 and 3.
static void put(uint8_t *cell, int lane, int k, int weight) {
    const int16_t wide = static_cast<int16_t>(weight);
    memcpy(cell + 32 * (k % 2) + 4 * lane + 2 * (k / 2), &wide, 2);
}

// 64-bit constants: of the even lanes, then of the odd ones.
static int place(int lane) { return lane / 2 + lane % 2 * 4; }

struct Bytes {
    enum { BLOCK = 1 << 30, CELL = 64 };
    typedef I32 Sum;
    struct X {
        __m256i even, odd;
    };
    struct W {
        __m256i even, odd;
    };
    static inline X spread(const uint8_t *from) {
        const __m256i bytes = _mm256_set1_epi32(static_cast<int32_t>(four(from)));
        return {_mm256_and_si256(bytes, _mm256_set1_epi16(255)), _mm256_srli_epi16(bytes, 8)};
    }
    static inline W weights(const uint8_t *from) { return {load<__m256i>(from), load<__m256i>(from + 32)}; }
    static inline Sum step(Sum sum, const X &x, const W &w) {
        return sum + (I32)_mm256_madd_epi16(x.even, w.even) + (I32)_mm256_madd_epi16(x.odd, w.odd);
    }
    static inline I32 fold(Sum sum) { return sum; }
    static inline I32 total(I32 bias, I32 sum) { return bias + sum; }
};

// Counts are kept in bytes, which hold 31 times 8.
struct Bits {
    enum { BLOCK = 31, CELL = 4 * LANES };
    typedef __m256i Sum;
    typedef __m256i X;
    typedef __m256i W;
    static inline X spread(const uint8_t *from) { return _mm256_set1_epi32(static_cast<int32_t>(four(from))); }
    static inline W weights(const uint8_t *from) { return load<__m256i>(from); }
    static inline Sum step(const Sum &sum, const X &x, const W &w) {
        const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3,
                                               1, 2, 2, 3, 2, 3, 3, 4);
        const __m256i bits = _mm256_xor_si256(x, w), low = _mm256_set1_epi8(15);
        const __m256i count =
            _mm256_add_epi8(_mm256_shuffle_epi8(table, _mm256_and_si256(bits, low)),
                            _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(bits, 4), low)));
        return _mm256_add_epi8(sum, count);
    }
    static inline I32 fold(const Sum &sum) {
        return (I32)_mm256_madd_epi16(_mm256_maddubs_epi16(sum, _mm256_set1_epi8(1)), _mm256_set1_epi16(1));
    }
    static inline I32 total(I32 base, I32 sum) { return base - 2 * sum; }
};

static inline I32 widen(const uint8_t *from) {
    return (I32)_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(from)));
}

static inline U8 narrow(I32 v) {
    const __m128i low = _mm256_castsi256_si128((__m256i)v), high = _mm256_extracti128_si256((__m256i)v, 1);
    const __m128i words = _mm_packus_epi32(low, high);
    const int64_t bytes = _mm_cvtsi128_si64(_mm_packus_epi16(words, words));
    return load<U8>(&bytes);
}

static inline void store_some(uint8_t *to, const U8 &bytes, int count) {
    for (int i = 0; i < count; ++i) to[i] = bytes[i];
}

// One half of the lanes: in 64 bits, from `low` to 255. There is no arithmetic shift of 64 bits: it is made of a
// logical one, with 2^63 added before and taken off behind.
static inline __m256i requantise_half(__m256i acc, __m256i multiplier, __m256i rounding, __m256i shift, __m256i zero,
                                      __m256i low) {
    const __m256i sign = _mm256_set1_epi64x(INT64_MIN), most = _mm256_set1_epi64x(255);
    const __m256i product = _mm256_add_epi64(_mm256_mul_epi32(acc, multiplier), rounding);
    const __m256i shifted =
        _mm256_sub_epi64(_mm256_srlv_epi64(_mm256_add_epi64(product, sign), shift), _mm256_srlv_epi64(sign, shift));
    __m256i q = _mm256_add_epi64(shifted, zero);
    q = _mm256_blendv_epi8(q, low, _mm256_cmpgt_epi64(low, q));
    return _mm256_blendv_epi8(q, most, _mm256_cmpgt_epi64(q, most));
}

static inline I32 requantise(I32 acc, const Finish &f, int lane) {
    const __m256i a = (__m256i)acc, m = load<__m256i>(f.multiplier + lane);
    const __m256i zero = _mm256_set1_epi64x(f.zero), low = _mm256_set1_epi64x(f.low);
    const __m256i even =
        requantise_half(a, m, load<__m256i>(f.rounding + lane), load<__m256i>(f.shift + lane), zero, low);
    const __m256i odd =
        requantise_half(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(m, 32), load<__m256i>(f.rounding + lane + 4),
                        load<__m256i>(f.shift + lane + 4), zero, low);
    return (I32)_mm256_or_si256(even, _mm256_slli_epi64(odd, 32));
}

// The upper halves of the products: those of the odd lanes are in their places.
static inline I32 requantise_quick(I32 acc, const Finish &f, int lane) {
    const __m256i a = (__m256i)acc, half = _mm256_set1_epi64x(int64_t{1} << 31);
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(a, load<__m256i>(f.multiplier + lane)), half);
    const __m256i odd =
        _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(a, 32), load<__m256i>(f.multiplier + lane + 1)), half);
    const I32 q = (I32)_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa) + f.zero;
    return (I32)_mm256_min_epi32(_mm256_max_epi32((__m256i)q, _mm256_set1_epi32(f.low)), _mm256_set1_epi32(255));
}

static inline uint64_t reached(I32 acc, I32 threshold) {
    return static_cast<uint64_t>(
               _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32((__m256i)threshold, (__m256i)acc)))) ^
           255u;
}

static inline I32 multiply_add(I32 sum, I32 byte, I32 weight) {  // `byte` is 0 to 255, `weight` an int8
    return sum + (I32)_mm256_madd_epi16((__m256i)byte, (__m256i)weight);
}

#include "../set.hpp"

}  // namespace avx2
}  // namespace pcnn_cpu

#pragma GCC pop_options
#endif
