// Channels side by side (numerics.md, section 8). Included inside a set's namespace.

// `count` bits of `in` behind the first `at` bits of `out`; bits of `out` from there on are 0.
static inline void append_bits(uint8_t *out, int at, const uint8_t *in, int count) {
    for (int i = 0; i < count; i += 8) {
        const unsigned bits = in[i / 8] & (count - i < 8 ? (1u << (count - i)) - 1 : 255u), place = (at + i) % 8;
        uint8_t *const to = out + (at + i) / 8;
        to[0] = static_cast<uint8_t>(to[0] | bits << place);
        if (place && bits >> (8 - place)) to[1] = static_cast<uint8_t>(to[1] | bits >> (8 - place));
    }
}

static void concat(const Concat &c, const Task &task) {
    long first, last;
    share(static_cast<long>(task.images) * c.out.height, task.part, task.parts, &first, &last);
    for (long at = first; at < last; ++at) {
        const long image = at / c.out.height, y = at % c.out.height;
        uint8_t *const out = task.base + c.out.start + image * c.out.image + c.out.origin + y * c.out.row;
        if (c.out.type == BITS) memset(out, 0, c.out.width * c.out.pixel);
        for (int i = 0, channel = 0; i < c.count; channel += c.in[i++].channels) {
            const View &view = c.in[i];
            const uint8_t *const in = task.base + view.start + image * view.image + view.origin + y * view.row;
            for (int x = 0; x < c.out.width; ++x) {
                if (c.out.type == BITS)
                    append_bits(out + x * c.out.pixel, channel, in + x * view.pixel, view.channels);
                else
                    memcpy(out + x * c.out.pixel + channel, in + x * view.pixel, view.channels);
            }
        }
    }
}
