// Sums over the window of each channel (numerics.md, sections 2 and 7): channels are the lanes. Included inside a set's
// namespace.

static void channelwise(const Channelwise &c, const Task &task) {
    const Sweep &s = c.sweep;
    const int blocks = (s.outputs + LANES - 1) / LANES;
    long first, last;
    share(static_cast<long>(task.images) * s.pixels, task.part, task.parts, &first, &last);
    for (long at = first; at < last; ++at) {
        const long image = at / s.pixels;
        const int pixel = static_cast<int>(at % s.pixels);
        const uint8_t *const window = task.base + s.in.start + image * s.in.image + s.in_at[pixel];
        uint8_t *const out = task.base + s.out.start + image * s.out.image + s.out_at[pixel];
        for (int block = 0; block < blocks; ++block) {
            const int lane = block * LANES;
            I32 sum[1] = {load<I32>(c.bias + lane)};
            const int32_t *weights = c.weights + lane;
            for (int t = 0; t < c.taps; ++t, weights += c.weight_row)
                sum[0] = multiply_add(sum[0], widen(window + c.offsets[t] + lane), load<I32>(weights));
            if (s.finish.skip)
                add_skip<1>(sum, s.finish, task.base + s.skip.start + image * s.skip.image + s.skip_at[pixel], block);
            finish_pixel<1>(sum, s.finish, {out, s.out.pixel, s.outputs, block, block + 1 == blocks});
        }
    }
}
