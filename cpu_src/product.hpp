// Sums of products over windows (numerics.md, sections 2 and 6): output channels are the lanes, and the windows of
// several pixels, or images, are worked on at once, so that a weight that was loaded serves all of them. Included
// inside a set's namespace.
//
// `Kind` is Bytes or Bits of the set: X spread(four bytes of the input), Sum step(Sum, X, weights of four inputs a
// lane), fold(Sum) to I32 after at most BLOCK steps, total(bias, I32).

template <class Kind, int MR, int NR>
static inline void accumulate_some(const uint8_t *const (&window)[MR], const int32_t *offset, const uint8_t *weights,
                                   int steps, I32 (&acc)[MR][NR]) {
    typename Kind::Sum sum[MR][NR] = {};
    for (int s = 0; s < steps; ++s) {
        typename Kind::W w[NR];
        for (int n = 0; n < NR; ++n) w[n] = Kind::weights(weights + n * Kind::CELL);
        const ptrdiff_t at = offset[s];
        for (int m = 0; m < MR; ++m) {
            const typename Kind::X x = Kind::spread(window[m] + at);
            for (int n = 0; n < NR; ++n) sum[m][n] = Kind::step(sum[m][n], x, w[n]);
        }
        weights += NR * Kind::CELL;
    }
    for (int m = 0; m < MR; ++m)
        for (int n = 0; n < NR; ++n) acc[m][n] = Kind::fold(sum[m][n]);
}

template <class Kind, int MR, int NR>
static inline void accumulate(const uint8_t *const (&window)[MR], const Tile &tile, I32 (&acc)[MR][NR]) {
    const int block = Kind::BLOCK, first = tile.steps < block ? tile.steps : block;
    accumulate_some<Kind, MR, NR>(window, tile.offsets, tile.weights, first, acc);
    for (int at = first; at < tile.steps; at += block) {
        const int steps = tile.steps - at < block ? tile.steps - at : block;
        I32 more[MR][NR];
        accumulate_some<Kind, MR, NR>(window, tile.offsets + at,
                                      tile.weights + static_cast<ptrdiff_t>(at) * NR * Kind::CELL, steps, more);
        for (int m = 0; m < MR; ++m)
            for (int n = 0; n < NR; ++n) acc[m][n] += more[m][n];
    }
}

template <class Kind>
struct Rises {  // whether the larger of two sums is that of the larger accumulator, whatever the bias
    enum { YES = 0 };
};
template <>
struct Rises<Bytes> {
    enum { YES = 1 };
};

// The pixels [first, last), counted over all images, of one tile. WINDOW is that of the sweep, so that the compiler
// keeps sums in registers; 0: any.
template <class Kind, int MR, int NR, int WINDOW>
static void sweep_tile(const Product &p, const Tile &tile, const Task &task, long first, long last) {
    const Sweep &s = p.sweep;
    const int32_t *const bias = p.bias + tile.block * LANES;
    const int size = WINDOW ? WINDOW : s.window, halvings = __builtin_ctz(size);  // it is a power of two
    Place place = {nullptr, s.out.pixel, s.outputs, tile.block, (tile.block + tile.blocks) * LANES >= s.outputs};
    long image = first / s.pixels;
    int pixel = static_cast<int>(first % s.pixels);
    for (long at = first; at < last; at += MR) {
        const uint8_t *const in = task.base + s.in.start + image * s.in.image;
        uint8_t *const out = task.base + s.out.start + image * s.out.image;
        const uint8_t *const skip = task.base + s.skip.start + image * s.skip.image;
        // All of one image mostly; else the rows of the next ones are found one by one.
        const bool together = pixel + MR <= s.pixels && last - at >= MR;
        const int rows = last - at < MR ? static_cast<int>(last - at) : MR;
        const uint8_t *window[MR];
        int pixels[MR] = {}, images[MR] = {};  // images from this one on
        if (together) {
            for (int m = 0; m < MR; ++m) window[m] = in + s.in_at[pixel + m];
        } else {
            for (int m = 0; m < MR; ++m) {
                const int behind = pixel + (m < rows ? m : 0);
                images[m] = behind / s.pixels;
                pixels[m] = behind % s.pixels;
                window[m] = in + images[m] * s.in.image + s.in_at[pixels[m]];
            }
        }
        I32 acc[MR][NR];
        accumulate<Kind, MR, NR>(window, tile, acc);
#pragma GCC unroll 8
        for (int m = 0; m < MR; m += size) {
            if (m >= rows) break;
            I32 best[NR];
            if (Rises<Kind>::YES && WINDOW > 1 && !s.finish.skip) {
                for (int n = 0; n < NR; ++n) {
                    best[n] = acc[m][n];
#pragma GCC unroll 8
                    for (int i = m + 1; i < m + WINDOW; ++i) best[n] = larger(best[n], acc[i][n]);
                    best[n] = Kind::total(load<I32>(bias + n * LANES), best[n]);
                }
            } else {
#pragma GCC unroll 8
                for (int i = m; i < m + size; ++i) {
                    const int here = together ? pixel + i : pixels[i];
                    I32 sum[NR];
                    const int32_t *const from = p.bias_at ? bias + p.bias_at[here] : bias;
                    for (int n = 0; n < NR; ++n) sum[n] = Kind::total(load<I32>(from + n * LANES), acc[i][n]);
                    if (s.finish.skip)
                        add_skip<NR>(sum, s.finish, skip + (together ? 0 : images[i] * s.skip.image) + s.skip_at[here],
                                     tile.block);
                    for (int n = 0; n < NR; ++n) best[n] = i == m ? sum[n] : larger(best[n], sum[n]);
                }
            }
            if (together)
                place.out = out + s.out_at[(pixel + m) >> halvings];
            else
                place.out = out + images[m] * s.out.image + s.out_at[pixels[m] >> halvings];
            finish_pixel<NR>(best, s.finish, place);
        }
        for (pixel += MR; pixel >= s.pixels; pixel -= s.pixels) ++image;
    }
}

template <class Kind, int NR>
static void sweep_rows(const Product &p, const Tile &tile, const Task &task, long first, long last) {
    if (last - first == 1)
        sweep_tile<Kind, 1, NR, 1>(p, tile, task, first, last);
    else if (p.sweep.window == 1)
        sweep_tile<Kind, ROWS, NR, 1>(p, tile, task, first, last);
    else if (p.sweep.window == 4)
        sweep_tile<Kind, ROWS, NR, 4>(p, tile, task, first, last);
    else
        sweep_tile<Kind, ROWS, NR, 0>(p, tile, task, first, last);
}

template <class Kind>
static void sweep(const Product &p, const Task &task) {
    const long rows = static_cast<long>(task.images) * p.sweep.pixels, groups = (rows + ROWS - 1) / ROWS;
    long first = 0, last = groups, first_tile = 0, last_tile = p.tile_count;
    if (groups >= 2 * task.parts || groups >= p.tile_count)
        share(groups, task.part, task.parts, &first, &last);
    else
        share(p.tile_count, task.part, task.parts, &first_tile, &last_tile);
    first *= ROWS;
    last = last * ROWS < rows ? last * ROWS : rows;
    if (first >= last) return;
    for (long i = first_tile; i < last_tile; ++i) {
        const Tile &tile = p.tiles[i];
        switch (tile.blocks) {
            case 1:
                sweep_rows<Kind, 1>(p, tile, task, first, last);
                break;
            case 2:
                sweep_rows < Kind, BLOCKS<2 ? BLOCKS : 2>(p, tile, task, first, last);
                break;
            default:
                sweep_rows < Kind, BLOCKS<3 ? BLOCKS : 3>(p, tile, task, first, last);
                break;
        }
    }
}

static void product(const Product &p, const Task &task) {
    if (p.bits)
        sweep<Bits>(p, task);
    else
        sweep<Bytes>(p, task);
}
