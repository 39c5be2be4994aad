// Accumulators to bytes, to bits, or left as they are (numerics.md, sections 2, 3, 5 and 6). Included inside a set's
// namespace.

// One pixel of some blocks of output channels.
struct Place {
    uint8_t *out;         // of the pixel
    ptrdiff_t out_bytes;  // that it takes
    int outputs;          // channels that it has
    int block;            // the first
    bool last;            // whether no blocks follow
};

static inline void store_bytes(uint8_t *to, I32 v, int count) {
    const U8 bytes = narrow(v);
    if (count >= LANES)
        store(to, bytes);
    else
        store_some(to, bytes, count);
}

template <int NR>
static inline void finish_pixel(const I32 (&acc)[NR], const Finish &finish, const Place &at) {
    const int lane = at.block * LANES;
    if (finish.type == BYTES) {
        for (int n = 0; n < NR; ++n) {
            const int first = lane + n * LANES;
            store_bytes(at.out + first,
                        (finish.quick ? requantise_quick(acc[n], finish, first) : requantise(acc[n], finish, first)),
                        at.outputs - first);
        }
    } else if (finish.type == BITS) {
        uint64_t bits = 0;
        for (int n = 0; n < NR; ++n) {
            const I32 threshold = load<I32>(finish.threshold + lane + n * LANES);
            bits |= reached(acc[n], threshold) << (n * LANES);
        }
        uint8_t *to = at.out + lane / 8;
        const int bytes = (NR * LANES + 7) / 8;
        memcpy(to, &bits, bytes);
        if (at.last) memset(to + bytes, 0, at.out + at.out_bytes - (to + bytes));
    } else {
        for (int n = 0; n < NR; ++n) {
            const int first = lane + n * LANES, count = at.outputs - first;
            memcpy(at.out + 4 * static_cast<ptrdiff_t>(first), &acc[n], 4 * (count < LANES ? count : LANES));
        }
    }
}

// k[o] * skip[o] added (section 2).
template <int NR>
static inline void add_skip(I32 (&acc)[NR], const Finish &finish, const uint8_t *skip, int block) {
    for (int n = 0; n < NR; ++n) {
        const int first = (block + n) * LANES;
        acc[n] += load<I32>(finish.skip + first) * widen(skip + first);
    }
}
