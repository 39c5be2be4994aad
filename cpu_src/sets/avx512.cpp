// AVX-512 with VNNI (four products of bytes a lane) and VPOPCNTDQ (bits of a lane counted).
#include "../processor.hpp"

#if PCNN_X86
#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "../step.hpp"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq,prefer-vector-width=512")

namespace pcnn_cpu {
namespace avx512 {

static const char *const NAME = "avx512";
enum { LANES = 16, ROWS = 8, BLOCKS = 3, STEP_COST = 1, FRACTION = 32, EXCESS = 0 };

#include "../vectors.hpp"

static bool supported() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vpopcntdq");
}

static void put(uint8_t *cell, int lane, int k, int weight) { cell[4 * lane + k] = static_cast<uint8_t>(weight); }

// 64-bit constants: of the even lanes, then of the odd ones.
static int place(int lane) { return lane / 2 + lane % 2 * 8; }

struct Bytes {
    enum { BLOCK = 1 << 30, CELL = 64 };
    typedef I32 Sum;
    typedef __m512i X;
    typedef __m512i W;
    static inline X spread(const uint8_t *from) { return _mm512_set1_epi32(static_cast<int32_t>(four(from))); }
    static inline W weights(const uint8_t *from) { return load<__m512i>(from); }
    static inline Sum step(const Sum &sum, const X &x, const W &w) {
        return (I32)_mm512_dpbusd_epi32((__m512i)sum, x, w);
    }
    static inline I32 fold(const Sum &sum) { return sum; }
    static inline I32 total(const I32 &bias, const I32 &sum) { return bias + sum; }
};

struct Bits {
    enum { BLOCK = 1 << 30, CELL = 4 * LANES };
    typedef I32 Sum;
    typedef __m512i X;
    typedef __m512i W;
    static inline X spread(const uint8_t *from) { return _mm512_set1_epi32(static_cast<int32_t>(four(from))); }
    static inline W weights(const uint8_t *from) { return load<__m512i>(from); }
    static inline Sum step(const Sum &sum, const X &x, const W &w) {
        return sum + (I32)_mm512_popcnt_epi32(_mm512_xor_si512(x, w));
    }
    static inline I32 fold(const Sum &sum) { return sum; }
    static inline I32 total(const I32 &base, const I32 &sum) { return base - 2 * sum; }
};

static inline I32 widen(const uint8_t *from) { return (I32)_mm512_cvtepu8_epi32(load<__m128i>(from)); }
static inline U8 narrow(const I32 &v) { return (U8)_mm512_cvtepi32_epi8((__m512i)v); }
static inline void store_some(uint8_t *to, const U8 &bytes, int count) {
    _mm_mask_storeu_epi8(to, static_cast<__mmask16>((1u << count) - 1), (__m128i)bytes);
}

static inline __m512i requantise_half(__m512i acc, __m512i multiplier, __m512i rounding, __m512i shift, __m512i least,
                                      __m512i most) {
    const __m512i q = _mm512_srav_epi64(_mm512_add_epi64(_mm512_mul_epi32(acc, multiplier), rounding), shift);
    return _mm512_min_epi64(_mm512_max_epi64(q, least), most);
}

static inline I32 requantise(const I32 &acc, const Finish &f, int lane) {
    const __m512i a = (__m512i)acc, m = load<__m512i>(f.multiplier + lane);
    const __m512i least = _mm512_set1_epi64(f.low - f.zero), most = _mm512_set1_epi64(255 - f.zero);
    const __m512i even =
        requantise_half(a, m, load<__m512i>(f.rounding + lane), load<__m512i>(f.shift + lane), least, most);
    const __m512i odd =
        requantise_half(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(m, 32), load<__m512i>(f.rounding + lane + 8),
                        load<__m512i>(f.shift + lane + 8), least, most);
    return (I32)_mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32)) + f.zero;
}

// The upper halves of the products: those of the odd lanes are in their places.
static inline I32 requantise_quick(const I32 &acc, const Finish &f, int lane) {
    const __m512i a = (__m512i)acc, half = _mm512_set1_epi64(int64_t{1} << 31);
    const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(a, load<__m512i>(f.multiplier + lane)), half);
    const __m512i odd =
        _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(a, 32), load<__m512i>(f.multiplier + lane + 1)), half);
    const I32 q = (I32)_mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd) + f.zero;
    return (I32)_mm512_min_epi32(_mm512_max_epi32((__m512i)q, _mm512_set1_epi32(f.low)), _mm512_set1_epi32(255));
}

static inline uint64_t reached(const I32 &acc, const I32 &threshold) {
    return _mm512_cmpge_epi32_mask((__m512i)acc, (__m512i)threshold);
}

static inline I32 multiply_add(const I32 &sum, const I32 &byte,
                               const I32 &weight) {  // `byte` is 0 to 255, `weight` an int8
    return (I32)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)byte, (__m512i)weight);
}

// Four weights at once, at COUNT times 64 positions: four runs of bytes are interleaved.
#define PCNN_FOURS
template <int COUNT>
static inline void sum_fours(const SparsePlanes &p, int output, const uint8_t *planes, int32_t *sums) {
    __m512i acc[COUNT][4];
    for (int v = 0; v < COUNT; ++v)
        for (int i = 0; i < 4; ++i) acc[v][i] = _mm512_set1_epi32(p.bias[output]);
    for (int e = p.first[output]; e < p.first[output + 1]; e += 4) {
        const __m512i w = _mm512_set1_epi32(p.weights[e / 4]);
        const uint8_t *const from[4] = {planes + p.offsets[e], planes + p.offsets[e + 1], planes + p.offsets[e + 2],
                                        planes + p.offsets[e + 3]};
        for (int v = 0; v < COUNT; ++v) {
            const __m512i a = load<__m512i>(from[0] + 64 * v), b = load<__m512i>(from[1] + 64 * v),
                          c = load<__m512i>(from[2] + 64 * v), d = load<__m512i>(from[3] + 64 * v);
            const __m512i ab[2] = {_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b)},
                          cd[2] = {_mm512_unpacklo_epi8(c, d), _mm512_unpackhi_epi8(c, d)};
            for (int i = 0; i < 2; ++i) {
                acc[v][2 * i] = _mm512_dpbusd_epi32(acc[v][2 * i], _mm512_unpacklo_epi16(ab[i], cd[i]), w);
                acc[v][2 * i + 1] = _mm512_dpbusd_epi32(acc[v][2 * i + 1], _mm512_unpackhi_epi16(ab[i], cd[i]), w);
            }
        }
    }
    // Each accumulator has four positions of every sixteen.
    for (int v = 0; v < COUNT; ++v, sums += 64) {
        const __m512i low[2] = {_mm512_shuffle_i32x4(acc[v][0], acc[v][1], 0x44),
                                _mm512_shuffle_i32x4(acc[v][2], acc[v][3], 0x44)},
                      high[2] = {_mm512_shuffle_i32x4(acc[v][0], acc[v][1], 0xee),
                                 _mm512_shuffle_i32x4(acc[v][2], acc[v][3], 0xee)};
        store(sums, _mm512_shuffle_i32x4(low[0], low[1], 0x88));
        store(sums + 16, _mm512_shuffle_i32x4(low[0], low[1], 0xdd));
        store(sums + 32, _mm512_shuffle_i32x4(high[0], high[1], 0x88));
        store(sums + 48, _mm512_shuffle_i32x4(high[0], high[1], 0xdd));
    }
}

#include "../set.hpp"

}  // namespace avx512
}  // namespace pcnn_cpu

#pragma GCC pop_options
#endif
