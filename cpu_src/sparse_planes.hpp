// Convolution with few weights left: channels are planes, and a weight is multiplied with as many pixels as a vector holds.
// Included inside a set's namespace.

// The channels of one image, each as a plane; what is around the images is there already.
static void make_planes(const SparsePlanes &p, const uint8_t *in, uint8_t *planes) {
    for (int y = 0; y < p.height; ++y)
        for (int x = 0; x < p.width; x += 16)
            for (int c = 0; c < p.channels; c += 16) {
                Sixteen block[16];
                for (int i = 0; i < 16; ++i) {
                    const int column = x + i < p.width ? x + i : p.width - 1;
                    block[i] = load<Sixteen>(in + y * p.sweep.in.row + column * p.sweep.in.pixel + c);
                }
                transpose(block);
                uint8_t *to = planes + static_cast<ptrdiff_t>(c) * p.plane + (y + p.top) * p.pitch + x + p.left;
                for (int i = 0; i < 16 && c + i < p.channels; ++i, to += p.plane) store_first(to, block[i], p.width - x);
            }
}

// Sums of one output channel at `count` vectors of positions.
template <int COUNT>
static inline void sum_planes(const SparsePlanes &p, int output, const uint8_t *planes, int32_t *sums) {
    I32 acc[COUNT];
    for (int v = 0; v < COUNT; ++v) acc[v] = all(p.bias[output]);
    for (int e = p.first[output]; e < p.first[output + 1]; ++e) {
        const I32 weight = all(p.weights[e]);
        const uint8_t *const from = planes + p.offsets[e];
        for (int v = 0; v < COUNT; ++v) acc[v] = multiply_add(acc[v], widen(from + v * LANES), weight);
    }
    for (int v = 0; v < COUNT; ++v) store(sums + v * LANES, acc[v]);
}

// The maxima of windows that do not overlap, in the first columns of the first rows.
static inline void pool_sums(const SparsePlanes &p, int32_t *sums, int out_h, int out_w) {
    for (int y = 0; y < out_h; ++y) {
        const int32_t *const from = sums + y * p.pool_h * p.pitch;
        int32_t *const row = sums + y * p.pitch;
        for (int x = 0; x < p.columns; x += LANES) {
            I32 best = load<I32>(from + x);
            for (int i = 1; i < p.pool_h; ++i) best = larger(best, load<I32>(from + i * p.pitch + x));
            store(row + x, best);
        }
        if (p.pool_w == 1) continue;
        if (p.pool_w == 2) {
            for (int x = 0; x < out_w; x += LANES) store(row + x, larger_of_pairs(row + 2 * x));
            continue;
        }
        for (int x = 0; x < out_w; ++x) {
            int32_t best = row[x * p.pool_w];
            for (int j = 1; j < p.pool_w; ++j) best = best > row[x * p.pool_w + j] ? best : row[x * p.pool_w + j];
            row[x] = best;
        }
    }
}

static void sparse_planes(const SparsePlanes &p, const Task &task) {
    const Sweep &s = p.sweep;
    long first = 0, last = task.images, first_block = 0, last_block = (s.outputs + 15) / 16;
    if (task.images >= task.parts) share(task.images, task.part, task.parts, &first, &last);
    else share(last_block, task.part, task.parts, &first_block, &last_block);
    uint8_t *const planes = task.base + p.planes + task.part * p.each, *const ready = task.base + p.ready + task.part * p.each;
    int32_t *const sums = reinterpret_cast<int32_t *>(task.base + p.sums + task.part * p.each);
    const int positions = (p.rows - 1) * p.pitch + p.columns;
    const int out_h = p.rows / p.pool_h, out_w = p.columns / p.pool_w, pixels = out_h * out_w;
    for (long image = first; image < last; ++image) {
        make_planes(p, task.base + s.in.start + image * s.in.image + s.in.origin, planes);
        uint8_t *const out = task.base + s.out.start + image * s.out.image;
        for (int block = static_cast<int>(first_block) * 16; block < last_block * 16 && block < s.outputs; block += 16) {
            const int outputs = s.outputs - block < 16 ? s.outputs - block : 16;
            for (int o = block; o < block + outputs; ++o) {
                int at = 0;
                if (ROWS == 8)  // so many registers there are
                    for (; at + 12 * LANES < positions; at += 16 * LANES) sum_planes<16>(p, o, planes + at, sums + at);
                for (; at + 7 * LANES < positions; at += 8 * LANES) sum_planes<8>(p, o, planes + at, sums + at);
                if (at + 3 * LANES < positions) sum_planes<4>(p, o, planes + at, sums + at), at += 4 * LANES;
                if (at + LANES < positions) sum_planes<2>(p, o, planes + at, sums + at), at += 2 * LANES;
                if (at < positions) sum_planes<2>(p, o, planes + at, sums + at);
                if (p.pool_h * p.pool_w > 1) pool_sums(p, sums, out_h, out_w);
                uint8_t *const bytes = ready + (o - block) * p.ready_row;
                for (int y = 0; y < out_h; ++y)
                    for (int x = 0; x < out_w; x += LANES) {
                        const I32 sum = load<I32>(sums + y * p.pitch + x);
                        const I32 q = s.finish.quick ? requantise_quick(sum, s.finish, o * LANES) : requantise(sum, s.finish, o * LANES);
                        store(bytes + y * out_w + x, narrow(q));
                    }
            }
            for (int pixel = 0; pixel < pixels; pixel += 16) {
                Sixteen rows[16];
                for (int i = 0; i < 16; ++i) rows[i] = load<Sixteen>(ready + i * p.ready_row + pixel);
                transpose(rows);
                for (int i = 0; i < 16 && pixel + i < pixels; ++i) store_first(out + s.out_at[pixel + i] + block, rows[i], outputs);
            }
        }
    }
}
