// Convolution with few weights left: channels are planes, and a weight is multiplied with as many pixels as a vector holds.
// Included inside a set's namespace.

// The channels of one image, each as a plane of int32; what is around the images is there already.
static void make_planes(const SparsePlanes &p, const uint8_t *in, int32_t *planes) {
    for (int y = 0; y < p.height; ++y)
        for (int x = 0; x < p.width; ++x) {
            const uint8_t *const from = in + y * p.sweep.in.row + x * p.sweep.in.pixel;
            int32_t *const to = planes + (y + p.top) * p.pitch + x + p.left;
            for (int c = 0; c < p.channels; ++c) to[static_cast<ptrdiff_t>(c) * p.plane] = from[c];
        }
}

// Sums of one output channel at `count` vectors of positions.
template <int COUNT>
static inline void sum_planes(const SparsePlanes &p, int output, const int32_t *planes, int32_t *sums) {
    I32 acc[COUNT];
    for (int v = 0; v < COUNT; ++v) acc[v] = all(p.bias[output]);
    for (int e = p.first[output]; e < p.first[output + 1]; ++e) {
        const I32 weight = all(p.weights[e]);
        const int32_t *const from = planes + p.offsets[e];
        for (int v = 0; v < COUNT; ++v) acc[v] = multiply_add(acc[v], load<I32>(from + v * LANES), weight);
    }
    for (int v = 0; v < COUNT; ++v) store(sums + v * LANES, acc[v]);
}

static void sparse_planes(const SparsePlanes &p, const Task &task) {
    const Sweep &s = p.sweep;
    long first = 0, last = task.images, first_output = 0, last_output = s.outputs;
    if (task.images >= task.parts) share(task.images, task.part, task.parts, &first, &last);
    else share(s.outputs, task.part, task.parts, &first_output, &last_output);
    int32_t *const planes = reinterpret_cast<int32_t *>(task.base + p.planes + task.part * p.each);
    int32_t *const sums = reinterpret_cast<int32_t *>(task.base + p.sums + task.part * p.each);
    const int positions = (p.rows - 1) * p.pitch + p.columns;
    const int out_h = p.rows / p.pool_h, out_w = p.columns / p.pool_w;
    for (long image = first; image < last; ++image) {
        make_planes(p, task.base + s.in.start + image * s.in.image + s.in.origin, planes);
        uint8_t *const out = task.base + s.out.start + image * s.out.image + s.out.origin;
        for (int o = static_cast<int>(first_output); o < last_output; ++o) {
            int at = 0;
            for (; at + 7 * LANES < positions; at += 8 * LANES) sum_planes<8>(p, o, planes + at, sums + at);
            if (at + 3 * LANES < positions) sum_planes<4>(p, o, planes + at, sums + at), at += 4 * LANES;
            for (; at < positions; at += LANES) sum_planes<1>(p, o, planes + at, sums + at);
            for (int y = 0; y < out_h; ++y) {
                int32_t *const row = sums + y * p.pool_h * p.pitch;
                uint8_t *const to = out + y * s.out.row + o;
                for (int x = 0; x < p.columns; x += LANES)  // the maximum of the rows, in the first of them
                    for (int i = 1; i < p.pool_h; ++i)
                        store(row + x, larger(load<I32>(row + x), load<I32>(row + i * p.pitch + x)));
                for (int x = 0; x < p.columns; x += LANES) {
                    I32 best = load<I32>(row + x);
                    for (int j = 1; j < p.pool_w; ++j) best = larger(best, load<I32>(row + x + j));
                    int32_t bytes[LANES];
                    store(bytes, requantise(best, s.finish, o * LANES));
                    // Every pool_w-th from the start of the row on.
                    for (int i = (p.pool_w - x % p.pool_w) % p.pool_w; i < LANES; i += p.pool_w) {
                        const int column = (x + i) / p.pool_w;
                        if (column < out_w) to[column * s.out.pixel] = static_cast<uint8_t>(bytes[i]);
                    }
                }
            }
        }
    }
}
