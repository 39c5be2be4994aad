// Max pooling of bytes, and of bits, of which the maximum is OR (numerics.md, sections 4 and 6). Included inside a
// set's namespace.

static inline void merge(uint8_t *out, const uint8_t *in, ptrdiff_t count, bool bits) {
    if (bits)
        for (ptrdiff_t i = 0; i < count; ++i) out[i] = out[i] | in[i];
    else
        for (ptrdiff_t i = 0; i < count; ++i) out[i] = out[i] > in[i] ? out[i] : in[i];
}

static void max_pool(const MaxPool &p, const Task &task) {
    long first, last;
    share(static_cast<long>(task.images) * p.out.height, task.part, task.parts, &first, &last);
    for (long at = first; at < last; ++at) {
        const long image = at / p.out.height;
        const int y = static_cast<int>(at % p.out.height);
        const uint8_t *const in = task.base + p.in.start + image * p.in.image + p.in.origin;
        uint8_t *out = task.base + p.out.start + image * p.out.image + p.out.origin + y * p.out.row;
        const int top = y * p.stride_h - p.top, bottom = top + p.size_h < p.in.height ? top + p.size_h : p.in.height;
        for (int x = 0; x < p.out.width; ++x, out += p.out.pixel) {
            const int left = x * p.stride_w - p.left,
                      right = left + p.size_w < p.in.width ? left + p.size_w : p.in.width;
            bool begun = false;
            for (int i = top < 0 ? 0 : top; i < bottom; ++i)
                for (int j = left < 0 ? 0 : left; j < right; ++j) {
                    const uint8_t *const from = in + i * p.in.row + j * p.in.pixel;
                    if (begun)
                        merge(out, from, p.in.pixel, p.in.type == BITS);
                    else
                        memcpy(out, from, p.in.pixel);
                    begun = true;
                }
        }
    }
}
