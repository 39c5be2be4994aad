// Convolution with few weights left: channels are planes, and a weight is multiplied with as many pixels as a vector
// holds. Included inside a set's namespace.

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
                for (int i = 0; i < 16 && c + i < p.channels; ++i, to += p.plane)
                    store_first(to, block[i], p.width - x);
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

// Of a column of each row of a window the maximum, for as many columns as a vector has.
static inline I32 tallest(const SparsePlanes &p, const int32_t *sums) {
    I32 best = load<I32>(sums);
    for (int i = 1; i < p.pool_h; ++i) best = larger(best, load<I32>(sums + i * p.pitch));
    return best;
}

// Sums of one output channel at all positions, as many vectors at once as there are registers for.
static inline void sum_plane(const SparsePlanes &p, int output, const uint8_t *planes, int32_t *sums, int positions) {
    enum { MOST = ROWS == 8 ? 16 : 8 };
    const int vectors = (positions + LANES - 1) / LANES, turns = (vectors + MOST - 1) / MOST;
    for (int turn = 0, at = 0; turn < turns; ++turn) {
        const int pairs = ((vectors - at) / (turns - turn) + 1) / 2;
        const uint8_t *const from = planes + at * LANES;
        int32_t *const to = sums + at * LANES;
        at += 2 * pairs;
        switch (pairs) {
            case 0:
            case 1:
                sum_planes<2>(p, output, from, to);
                break;
            case 2:
                sum_planes<4>(p, output, from, to);
                break;
            case 3:
                sum_planes<6>(p, output, from, to);
                break;
            case 4:
                sum_planes<8>(p, output, from, to);
                break;
            case 5:
                sum_planes < MOST<10 ? 8 : 10>(p, output, from, to);
                break;
            case 6:
                sum_planes < MOST<12 ? 8 : 12>(p, output, from, to);
                break;
            case 7:
                sum_planes < MOST<14 ? 8 : 14>(p, output, from, to);
                break;
            default:
                sum_planes<MOST>(p, output, from, to);
                break;
        }
    }
}

#ifdef PCNN_FOURS
static inline void sum_plane_by_fours(const SparsePlanes &p, int output, const uint8_t *planes, int32_t *sums,
                                      int positions) {
    for (; positions > 192; positions -= 256, planes += 256, sums += 256) sum_fours<4>(p, output, planes, sums);
    if (positions > 128)
        sum_fours<3>(p, output, planes, sums);
    else if (positions > 64)
        sum_fours<2>(p, output, planes, sums);
    else if (positions > 0)
        sum_fours<1>(p, output, planes, sums);
}
#endif

// Of windows that do not overlap the maxima, as bytes, pixel behind pixel; what vectors write beyond a row, the next
// one covers.
static inline void finish_plane(const SparsePlanes &p, int output, const int32_t *sums, uint8_t *bytes, int out_h,
                                int out_w) {
    const Finish &finish = p.sweep.finish;
    for (int y = 0; y < out_h; ++y, bytes += out_w) {
        const int32_t *const row = sums + y * p.pool_h * p.pitch;
        for (int x = 0; x < out_w; x += LANES) {
            const int32_t *const from = row + x * p.pool_w;
            I32 best;
            if (p.pool_w == 1) {
                best = tallest(p, from);
            } else if (p.pool_w == 2) {
                best = larger_of_pairs(tallest(p, from), tallest(p, from + LANES));
            } else {
                int32_t values[LANES] = {};
                for (int k = 0; k < LANES && x + k < out_w; ++k) {
                    values[k] = from[k * p.pool_w];
                    for (int i = 0; i < p.pool_h; ++i)
                        for (int j = 0; j < p.pool_w; ++j) {
                            const int32_t sum = from[i * p.pitch + k * p.pool_w + j];
                            if (sum > values[k]) values[k] = sum;
                        }
                }
                best = load<I32>(values);
            }
            const int lane = output * LANES;
            store(bytes + x,
                  narrow(finish.quick ? requantise_quick(best, finish, lane) : requantise(best, finish, lane)));
        }
    }
}

static void sparse_planes(const SparsePlanes &p, const Task &task) {
    const Sweep &s = p.sweep;
    long first = 0, last = task.images, first_block = 0, last_block = (s.outputs + 15) / 16;
    if (task.images >= task.parts)
        share(task.images, task.part, task.parts, &first, &last);
    else
        share(last_block, task.part, task.parts, &first_block, &last_block);
    uint8_t *const planes = task.scratch + p.planes, *const ready = task.scratch + p.ready;
    int32_t *const sums = reinterpret_cast<int32_t *>(task.scratch + p.sums);
    const int positions = (p.rows - 1) * p.pitch + p.columns;
    const int out_h = p.rows / p.pool_h, out_w = p.columns / p.pool_w, pixels = out_h * out_w;
    for (long image = first; image < last; ++image) {
        make_planes(p, task.base + s.in.start + image * s.in.image + s.in.origin, planes);
        uint8_t *const out = task.base + s.out.start + image * s.out.image;
        for (int block = static_cast<int>(first_block) * 16; block < last_block * 16 && block < s.outputs;
             block += 16) {
            const int outputs = s.outputs - block < 16 ? s.outputs - block : 16;
            for (int o = block; o < block + outputs; ++o) {
#ifdef PCNN_FOURS
                if (p.fours)
                    sum_plane_by_fours(p, o, planes, sums, positions);
                else
#endif
                    sum_plane(p, o, planes, sums, positions);
                finish_plane(p, o, sums, ready + (o - block) * p.ready_row, out_h, out_w);
            }
            for (int pixel = 0; pixel < pixels; pixel += 16) {
                Sixteen rows[16];
                for (int i = 0; i < 16; ++i) rows[i] = load<Sixteen>(ready + i * p.ready_row + pixel);
                transpose(rows);
                for (int i = 0; i < 16 && pixel + i < pixels; ++i)
                    store_first(out + s.out_at[pixel + i] + block, rows[i], outputs);
            }
        }
    }
}
