// The convolution loop: one weight tile (PE x SIMD multiply-accumulates) a cycle, with requantisation and max pooling behind it.
//
// Output pixels are visited pool window by pool window, so that the maximum needs one register per channel and no line buffer. Windows that overlap
// (3x3/2) recompute the pixels they share: 2.25 times the cycles of that convolution.
#pragma once

#include "bursts.hpp"
#include "instruction.hpp"
#include "tiles.hpp"

namespace pcnn {

// Counters of the flattened loop nest image / row / column / group / pool row / pool column / kernel row / chunk, innermost last.
//
// One flat loop instead of eight nested ones: a nest would drain and refill the pipeline (FILL_COMPUTE cycles) at every end of the inner loop, here often
// only 3 iterations long. Each `last` flag depends on its own counter alone, so a step is one level of comparisons, an AND chain and an increment.
struct Position {
    uint32_t image, row, column, group, pool_row, pool_column, kernel_row, chunk;
    uint32_t tap;         // kernel_row * chunks + chunk
    uint32_t group_tile;  // group * taps: first weight tile of the group
    uint32_t pixel;       // output pixels of this tile so far
};

inline void step(Position &p, const Conv &c, const Tile &tile, const Pass &pass) {
#pragma HLS INLINE
    const bool last_chunk = p.chunk + 1 == c.chunks;
    const bool last_kernel_row = p.kernel_row + 1 == c.kernel_h;
    const bool last_pool_column = p.pool_column + 1 == c.pool_size;
    const bool last_pool_row = p.pool_row + 1 == c.pool_size;
    const bool last_group = p.group + 1 == pass.groups;
    const bool last_column = p.column + 1 == c.out_w;
    const bool last_row = p.row + 1 == tile.rows;

    const bool next_kernel_row = last_chunk;
    const bool next_pool_column = next_kernel_row && last_kernel_row;
    const bool next_pool_row = next_pool_column && last_pool_column;
    const bool next_group = next_pool_row && last_pool_row;
    const bool next_column = next_group && last_group;
    const bool next_row = next_column && last_column;
    const bool next_image = next_row && last_row;

    p.chunk = next_kernel_row ? 0 : p.chunk + 1;
    p.tap = next_pool_column ? 0 : p.tap + 1;
    if (next_kernel_row) p.kernel_row = last_kernel_row ? 0 : p.kernel_row + 1;
    if (next_pool_column) p.pool_column = last_pool_column ? 0 : p.pool_column + 1;
    if (next_pool_row) p.pool_row = last_pool_row ? 0 : p.pool_row + 1;
    if (next_group) {
        p.group = last_group ? 0 : p.group + 1;
        p.group_tile = last_group ? 0 : p.group_tile + c.taps;
    }
    if (next_column) {
        p.column = last_column ? 0 : p.column + 1;
        p.pixel += 1;
    }
    if (next_row) p.row = last_row ? 0 : p.row + 1;
    if (next_image) p.image += 1;
}

// SIMD bytes of the window row that position `p` stands on; bytes outside the image come from `pad`.
inline void fetch_window(const Position &p, const Conv &c, const Tile &tile, const uint8_t input[INPUT_ROWS][SIMD], const uint8_t pad[PAD_VECTORS][SIMD],
                         uint8_t activation[SIMD]) {
#pragma HLS INLINE
    const int32_t conv_row = (tile.row + p.row) * c.pool_stride + p.pool_row;
    const int32_t conv_column = p.column * c.pool_stride + p.pool_column;
    const int32_t row = conv_row * c.stride_h - c.pad_h + static_cast<int32_t>(p.kernel_row);
    const int32_t column = conv_column * c.stride_w - c.pad_w;
    const bool row_inside = row >= 0 && row < c.in_h;
    const int32_t row_bytes = static_cast<int32_t>(c.row_bytes);
    const int32_t first = column * c.in_c + static_cast<int32_t>(p.chunk * SIMD);  // byte of the row that lane 0 stands on

    // The ring is addressed by the byte's place in the batch; the sum wraps as the ring does, so a negative `first` is harmless.
    const uint32_t image_byte = (tile.image + p.image) * c.in_stride * WORD_BYTES;
    const uint32_t address = image_byte + static_cast<uint32_t>(row) * c.row_bytes + static_cast<uint32_t>(first);
    uint8_t lanes[SIMD];
#pragma HLS ARRAY_PARTITION variable = lanes complete
    read_lanes<INPUT_ROWS>(input, address, lanes);
SELECT_PAD:
    for (int lane = 0; lane < SIMD; ++lane) {
#pragma HLS UNROLL
        const int32_t byte = first + lane;
        const uint8_t padding = c.flags & FLAG_PAD_VECTOR ? pad[p.chunk & (PAD_VECTORS - 1)][lane] : static_cast<uint8_t>(0);
        activation[lane] = row_inside && byte >= 0 && byte < row_bytes ? lanes[lane] : padding;
    }
}

// II = 1. Reads a cycle: one vector of every input bank, one weight tile (all 32 weight banks), PE parameters. The only value carried from one iteration to
// the next besides counters is the accumulator, a 32-bit add, and the running maximum, an 8-bit compare: both close within the cycle.
inline void convolve_tile(const Conv &c, const Tile &tile, const Pass &pass, const uint8_t input[INPUT_ROWS][SIMD], const uint8_t pad[PAD_VECTORS][SIMD],
                          const uint64_t weights[WEIGHT_TILES][TILE_WORDS], const uint64_t parameters[PARAM_GROUPS][PE], uint8_t output[OUTPUT_ROWS][SIMD],
                          int32_t results[ACC_ENTRIES][PE]) {
#pragma HLS INLINE off
    const uint64_t pool_pixels = static_cast<uint32_t>(c.pool_size) * c.pool_size;
    const uint64_t iterations = pool_pixels * tile.images * tile.rows * c.out_w * pass.groups * c.taps;
    const bool int32 = c.flags & FLAG_OUTPUT_INT32;
    Position p = {};
    int32_t accumulator[PE];
    uint8_t maximum[PE];
#pragma HLS ARRAY_PARTITION variable = accumulator complete
#pragma HLS ARRAY_PARTITION variable = maximum complete
    PCNN_CYCLES(COMPUTE, FILL_COMPUTE);

CONVOLVE:
    for (uint64_t i = 0; i < iterations; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 1048576
#pragma HLS PIPELINE II = 1
#pragma HLS DEPENDENCE variable = output inter false
#pragma HLS DEPENDENCE variable = results inter false
        PCNN_CYCLES(COMPUTE, 1);
        uint8_t activation[SIMD];
        int8_t weight[PE][SIMD];
        int32_t sum[PE];
#pragma HLS ARRAY_PARTITION variable = activation complete
#pragma HLS ARRAY_PARTITION variable = weight complete dim = 0
#pragma HLS ARRAY_PARTITION variable = sum complete
        fetch_window(p, c, tile, input, pad, activation);
        const uint32_t weight_tile = (p.group_tile + p.tap) & (WEIGHT_TILES - 1);
    UNPACK_WEIGHTS:
        for (int word = 0; word < TILE_WORDS; ++word) {
#pragma HLS UNROLL
            const uint64_t packed = weights[weight_tile][word];
        UNPACK_BYTES:
            for (int byte = 0; byte < WORD_BYTES; ++byte) {
#pragma HLS UNROLL
                weight[word / (SIMD / WORD_BYTES)][word % (SIMD / WORD_BYTES) * WORD_BYTES + byte] = static_cast<int8_t>(packed >> (8 * byte));
            }
        }
        dot_product(activation, weight, sum);

        const bool first_tap = p.tap == 0;
        const bool last_tap = p.tap + 1 == c.taps;
        const bool first_pool = p.pool_row == 0 && p.pool_column == 0;
        const bool last_pool = p.pool_row + 1 == c.pool_size && p.pool_column + 1 == c.pool_size;
    FINISH:
        for (int pe = 0; pe < PE; ++pe) {
#pragma HLS UNROLL
            const Parameter parameter = unpack_parameter(parameters[p.group & (PARAM_GROUPS - 1)][pe]);
            accumulator[pe] = sum[pe] + (first_tap ? parameter.bias : accumulator[pe]);
            if (last_tap) {
                const uint8_t value = requantise(accumulator[pe], parameter.multiplier, parameter.shift);
                maximum[pe] = pool_step(first_pool, maximum[pe], value);
            }
        }
        if (last_tap && last_pool) {
            const uint32_t group = pass.group + p.group;
            if (int32) {
                const uint32_t entry = (p.pixel * c.groups + group) & (ACC_ENTRIES - 1);
            KEEP_RESULTS:
                for (int pe = 0; pe < PE; ++pe) {
#pragma HLS UNROLL
                    results[entry][pe] = accumulator[pe];
                }
            } else {
                const uint32_t image_byte = (tile.image + p.image) * c.out_stride * WORD_BYTES;
                const uint32_t pixel = (tile.row + p.row) * c.out_w + p.column;
                const uint32_t channels = c.out_c - group * PE;
                write_lanes<OUTPUT_ROWS>(output, image_byte + pixel * c.out_c + group * PE, maximum, channels < PE ? channels : PE);
            }
        }
        step(p, c, tile, pass);
    }
}

}  // namespace pcnn
