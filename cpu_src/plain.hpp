// What a set does with the compiler's vector types alone, where it has nothing better: included inside its namespace,
// after vectors.hpp.

// Bytes of LANES as int32.
static inline I32 plain_widen(const uint8_t *from) { return __builtin_convertvector(load<U8>(from), I32); }

// clamp(((acc * m + rounding) >> s) + z, low, 255), numerics.md, section 3.
static inline I32 plain_requantise(I32 acc, const Finish &finish, int lane) {
    I32 out;
    for (int i = 0; i < LANES; ++i) {
        int64_t q = (static_cast<int64_t>(acc[i]) * finish.multiplier[lane + i] + finish.rounding[lane + i]) >>
                    finish.shift[lane + i];
        q += finish.zero;
        out[i] = static_cast<int32_t>(q < finish.low ? finish.low : q > 255 ? 255 : q);
    }
    return out;
}

// The same where the multiplier has the shift in it: the upper half of the product.
static inline I32 plain_requantise_quick(I32 acc, const Finish &finish, int lane) {
    I32 out;
    for (int i = 0; i < LANES; ++i)
        out[i] = static_cast<int32_t>(
            (static_cast<int64_t>(acc[i]) * finish.multiplier[lane + i] + (int64_t{1} << 31)) >> 32);
    return smaller(larger(out + finish.zero, all(finish.low)), all(255));
}

// How many bits of each lane are set.
static inline I32 plain_count(U32 v) {
    v = v - ((v >> 1) & 0x55555555u);
    v = (v & 0x33333333u) + ((v >> 2) & 0x33333333u);
    v = (v + (v >> 4)) & 0x0f0f0f0fu;
    v = v + (v >> 8);
    return (I32)((v + (v >> 16)) & 0x3fu);
}
