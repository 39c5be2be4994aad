// Vectors of any instruction set by the compiler's own vector types: loads, stores, minima. Included inside a set's
// namespace, after it has defined LANES.
typedef int32_t I32 __attribute__((vector_size(4 * LANES)));
typedef uint32_t U32 __attribute__((vector_size(4 * LANES)));
typedef uint8_t U8 __attribute__((vector_size(LANES)));

template <class V>
static inline V load(const void *from) {
    V v;
    memcpy(&v, from, sizeof v);
    return v;
}

template <class V>
static inline void store(void *to, const V &v) {
    memcpy(to, &v, sizeof v);
}

static inline I32 all(int32_t value) { return I32{} + value; }
static inline I32 larger(I32 a, I32 b) { return a > b ? a : b; }
static inline I32 smaller(I32 a, I32 b) { return a < b ? a : b; }

static inline uint32_t four(const uint8_t *from) {
    uint32_t v;
    memcpy(&v, from, 4);
    return v;
}

typedef uint8_t Sixteen __attribute__((vector_size(16)));

#if defined(__clang__)
#define PCNN_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PCNN_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, decltype(a + b){__VA_ARGS__})
#endif
// The maxima of neighbours among the values of two vectors.
static inline I32 larger_of_pairs(const I32 &low, const I32 &high) {
#if defined(__clang__)
    int32_t values[2 * LANES];
    store(values, low);
    store(values + LANES, high);
    I32 best;
    for (int i = 0; i < LANES; ++i) best[i] = values[2 * i] > values[2 * i + 1] ? values[2 * i] : values[2 * i + 1];
    return best;
#else
    I32 even;
    for (int i = 0; i < LANES; ++i) even[i] = 2 * i;
    return larger(__builtin_shuffle(low, high, even), __builtin_shuffle(low, high, even + 1));
#endif
}

// 16 rows of 16 bytes become columns.
static inline void transpose(Sixteen (&rows)[16]) {
    for (int round = 0; round < 4; ++round) {
        Sixteen next[16];
        for (int i = 0; i < 8; ++i) {
            next[2 * i] = PCNN_SHUFFLE(rows[i], rows[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            next[2 * i + 1] =
                PCNN_SHUFFLE(rows[i], rows[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        }
        memcpy(rows, next, sizeof next);
    }
}

// The first `count` of 16 bytes.
static inline void store_first(uint8_t *to, const Sixteen &bytes, int count) {
    if (count >= 16) {
        store(to, bytes);
        return;
    }
    uint8_t all_of_them[16], *from = all_of_them;
    store(all_of_them, bytes);
    if (count & 8) memcpy(to, from, 8), to += 8, from += 8;
    if (count & 4) memcpy(to, from, 4), to += 4, from += 4;
    if (count & 2) memcpy(to, from, 2), to += 2, from += 2;
    if (count & 1) *to = *from;
}

// The share [first, last) that `part` of `parts` has of `count`.
static inline void share(long count, int part, int parts, long *first, long *last) {
    *first = static_cast<long>(static_cast<int64_t>(count) * part / parts);
    *last = static_cast<long>(static_cast<int64_t>(count) * (part + 1) / parts);
}
