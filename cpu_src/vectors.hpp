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

// The share [first, last) that `part` of `parts` has of `count`.
static inline void share(long count, int part, int parts, long *first, long *last) {
    *first = count * part / parts;
    *last = count * (part + 1) / parts;
}
