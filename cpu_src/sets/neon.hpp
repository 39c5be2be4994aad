// NEON, of 32-bit and of 64-bit ARM: included by the sets that are made of it, inside their namespaces. Products are of
// 16 bits, widened: a weight of each lane with one of four inputs at a time.

// 64-bit constants: of the low two lanes, then of the high two.
static int place(int lane) { return lane; }

static inline I32 neon_widen(const uint8_t *from) {
    return (I32)vmovl_u16(vget_low_u16(vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four(from))))));
}

static inline U8 neon_narrow(I32 v) {
    const uint16x4_t words = vmovn_u32((uint32x4_t)v);
    const uint8x8_t bytes = vmovn_u16(vcombine_u16(words, words));
    const uint32_t first = vget_lane_u32(vreinterpret_u32_u8(bytes), 0);
    return load<U8>(&first);
}

// Counts are kept in bytes, which hold 31 times 8.
struct Bits {
    enum { BLOCK = 31, CELL = 4 * LANES };
    typedef uint8x16_t Sum;
    typedef uint8x16_t X;
    typedef uint8x16_t W;
    static inline X spread(const uint8_t *from) { return vreinterpretq_u8_u32(vdupq_n_u32(four(from))); }
    static inline W weights(const uint8_t *from) { return vld1q_u8(from); }
    static inline Sum step(Sum sum, X x, W w) { return vaddq_u8(sum, vcntq_u8(veorq_u8(x, w))); }
    static inline I32 fold(Sum sum) { return (I32)vpaddlq_u16(vpaddlq_u8(sum)); }
    static inline I32 total(I32 base, I32 sum) { return base - 2 * sum; }
};

// The shift of 64 bits saturates when it is made 32: what comes of it is above 255, or below `low`, all the same.
static inline I32 neon_requantise(I32 acc, const Finish &f, int lane) {
    const int32x4_t m = vld1q_s32(f.multiplier + lane);
    int64x2_t low = vmull_s32(vget_low_s32((int32x4_t)acc), vget_low_s32(m));
    int64x2_t high = vmull_s32(vget_high_s32((int32x4_t)acc), vget_high_s32(m));
    low = vshlq_s64(vaddq_s64(low, vld1q_s64(f.rounding + lane)), vsubq_s64(vdupq_n_s64(0), vld1q_s64(f.shift + lane)));
    high = vshlq_s64(vaddq_s64(high, vld1q_s64(f.rounding + lane + 2)),
                     vsubq_s64(vdupq_n_s64(0), vld1q_s64(f.shift + lane + 2)));
    const int32x4_t q = vqaddq_s32(vcombine_s32(vqmovn_s64(low), vqmovn_s64(high)), vdupq_n_s32(f.zero));
    return (I32)vminq_s32(vmaxq_s32(q, vdupq_n_s32(f.low)), vdupq_n_s32(255));
}

// vqrdmulh: (2 * acc * multiplier + 2^31) >> 32.
static inline I32 requantise_quick(I32 acc, const Finish &f, int lane) {
    const int32x4_t q = vaddq_s32(vqrdmulhq_s32((int32x4_t)acc, vld1q_s32(f.multiplier + lane)), vdupq_n_s32(f.zero));
    return (I32)vminq_s32(vmaxq_s32(q, vdupq_n_s32(f.low)), vdupq_n_s32(255));
}

static inline I32 widen(const uint8_t *from) { return neon_widen(from); }
static inline U8 narrow(I32 v) { return neon_narrow(v); }
static inline void store_some(uint8_t *to, const U8 &bytes, int count) {
    for (int i = 0; i < count; ++i) to[i] = bytes[i];
}
static inline I32 requantise(I32 acc, const Finish &finish, int lane) { return neon_requantise(acc, finish, lane); }
static inline uint64_t reached(I32 acc, I32 threshold) {
    const int32_t places[4] = {1, 2, 4, 8};
    const int32x4_t bits = vandq_s32((int32x4_t)(acc >= threshold), vld1q_s32(places));
    const int32x2_t pairs = vpadd_s32(vget_low_s32(bits), vget_high_s32(bits));
    return static_cast<uint64_t>(vget_lane_s32(vpadd_s32(pairs, pairs), 0));
}
static inline I32 multiply_add(I32 sum, I32 byte, I32 weight) {
    return (I32)vmlaq_s32((int32x4_t)sum, (int32x4_t)byte, (int32x4_t)weight);
}
