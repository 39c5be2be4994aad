// A sum of products with few weights, of one pixel: weight by weight. Included inside a set's namespace.

static void sparse_rows(const SparseRows &p, const Task &task) {
    const Sweep &s = p.sweep;
    const int blocks = (s.outputs + LANES - 1) / LANES;
    long first, last;
    share(static_cast<long>(task.images) * blocks, task.part, task.parts, &first, &last);
    for (long at = first; at < last; ++at) {
        const long image = at / blocks;
        const int block = static_cast<int>(at % blocks), lane = block * LANES;
        const uint8_t *const in = task.base + s.in.start + image * s.in.image + s.in_at[0];
        I32 sum[1] = {load<I32>(p.bias + lane)};
        int32_t sums[LANES] = {};
        for (int i = 0; i < LANES && lane + i < s.outputs; ++i) {
            int32_t even = 0, odd = 0;
            int e = p.first[lane + i];
            const int end = p.first[lane + i + 1];
            for (; e + 1 < end; e += 2) {
                even += p.weights[e] * in[p.offsets[e]];
                odd += p.weights[e + 1] * in[p.offsets[e + 1]];
            }
            if (e < end) even += p.weights[e] * in[p.offsets[e]];
            sums[i] = even + odd;
        }
        sum[0] += load<I32>(sums);
        if (s.finish.skip)
            add_skip<1>(sum, s.finish, task.base + s.skip.start + image * s.skip.image + s.skip_at[0], block);
        uint8_t *const out = task.base + s.out.start + image * s.out.image + s.out_at[0];
        // A block's bits may end inside a byte of the next one's: such sets have them finished in pairs, by Product.
        finish_pixel<1>(sum, s.finish, {out, s.out.pixel, s.outputs, block, block + 1 == blocks});
    }
}
