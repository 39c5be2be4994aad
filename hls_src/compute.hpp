// COMPUTE: one tap a cycle, by the unit that the instruction names (docs/contract/instruction-set.md, section 5).
#pragma once

#include "banks.hpp"
#include "finish.hpp"
#include "mac_bits.hpp"
#include "mac_bytes.hpp"
#include "platform.hpp"
#include "position.hpp"

namespace pcnn {

constexpr int KERNEL_ROWS = 16;  // an entry names its kernel row with 4 bits

// A sparse weight and its place in the window.
struct Entry {
    int8_t weight;
    bool first, last;
    uint8_t kernel_row;
    int32_t x;
};

inline Entry unpack_entry(uint32_t word) {
#pragma HLS INLINE
    Entry e;
    e.weight = static_cast<int8_t>(word);
    e.first = word >> 8 & 1;
    e.last = word >> 9 & 1;
    e.kernel_row = word >> 10 & (KERNEL_ROWS - 1);
    e.x = static_cast<int32_t>(word >> 14);
    return e;
}

constexpr int BIT_ACCUMULATOR = 20;  // bits that a sum of bits and its bias have at most: 2^18 channels and taps

// The constants of the groups `group` and `group + 1`: banks of even and of odd groups, one read each.
inline void read_parameters(const uint64_t parameters[PARAM_GROUPS / 2][2][PE],
                            const uint16_t skips[PARAM_GROUPS / 2][2][PE], uint32_t group, Parameter parameter[BIT_PE],
                            uint16_t skip[PE]) {
#pragma HLS INLINE
READ_PARAMETERS:
    for (uint32_t half = 0; half < 2; ++half) {
#pragma HLS UNROLL
        const uint32_t even = ((group + 1) / 2) & (PARAM_GROUPS / 2 - 1);
        const uint32_t odd = (group / 2) & (PARAM_GROUPS / 2 - 1);
    READ_CHANNELS:
        for (int pe = 0; pe < PE; ++pe) {
#pragma HLS UNROLL
            const uint64_t from_even = parameters[even][0][pe];
            const uint64_t from_odd = parameters[odd][1][pe];
            parameter[half * PE + pe] = unpack_parameter((group & 1) == half ? from_even : from_odd);
            if (half == 0) skip[pe] = group & 1 ? skips[odd][1][pe] : skips[even][0][pe];
        }
    }
}

// II = 1. Reads a cycle: one byte of every feature-map bank, two weight tiles (both ports of every weight bank), one
// row of every parameter bank, one entry, one pad vector. Writes a cycle: one byte of every feature-map bank by its
// other port, or one row of every result bank. The values carried from one iteration to the next are counters and
// pointers (position.hpp), the accumulators, a 32-bit add each, and what is kept of a pooling window, an 8-bit compare:
// all close within the cycle. What an instruction writes it never reads: the compiler sees to that.
inline void compute_loop(const Compute &c, uint32_t iterations, uint32_t images, uint8_t maps[FEATURE_MAP_ROWS][SIMD],
                         const uint64_t weights[WEIGHT_TILES][TILE_WORDS],
                         const uint64_t parameters[PARAM_GROUPS / 2][2][PE],
                         const uint16_t skips[PARAM_GROUPS / 2][2][PE], const uint32_t entries[ENTRIES / 2][2],
                         const uint8_t pads[PAD_VECTORS][SIMD], int32_t results[RESULT_ENTRIES][PE]) {
#pragma HLS INLINE off
    const bool sparse = c.unit == SPARSE;
    const bool ordered = c.unit == MAX || c.unit == OR;
    const Widths widths = widths_of(c);
    Position p = start_of(c);
    uint32_t channel = 0;         // of SPARSE, in the column
    int32_t accumulator[PE];      // of bytes, and of the lower half of bits
    int32_t bit_accumulator[PE];  // of the upper half of bits: BIT_ACCUMULATOR bits of it
    uint8_t kept[PE];
    bool kept_bit[BIT_PE];
    Spread in_spread, out_spread;
    uint32_t kernel_start[KERNEL_ROWS];
    int16_t kernel_y[KERNEL_ROWS];
#pragma HLS ARRAY_PARTITION variable = accumulator complete
#pragma HLS ARRAY_PARTITION variable = bit_accumulator complete
#pragma HLS ARRAY_PARTITION variable = kept complete
#pragma HLS ARRAY_PARTITION variable = kept_bit complete
#pragma HLS ARRAY_PARTITION variable = in_spread.turned complete
#pragma HLS ARRAY_PARTITION variable = in_spread.ahead complete
#pragma HLS ARRAY_PARTITION variable = in_spread.wrapped complete
#pragma HLS ARRAY_PARTITION variable = out_spread.turned complete
#pragma HLS ARRAY_PARTITION variable = out_spread.ahead complete
#pragma HLS ARRAY_PARTITION variable = out_spread.wrapped complete
#pragma HLS BIND_STORAGE variable = kernel_start type = ram_2p impl = lutram
#pragma HLS BIND_STORAGE variable = kernel_y type = ram_2p impl = lutram
    spread_of(sparse ? c.in_image_step / SIMD : 0, in_spread);
    spread_of(sparse ? c.out_image_step / SIMD : 0, out_spread);
    uint32_t sum_start = 0;
    int16_t sum_y = 0;
    if (sparse) {
    KERNEL_TABLE:
        for (int row = 0; row < KERNEL_ROWS; ++row) {
#pragma HLS PIPELINE II = 1
            kernel_start[row] = sum_start;
            kernel_y[row] = sum_y;
            sum_start += static_cast<uint32_t>(c.kernel_row_step);
            sum_y = static_cast<int16_t>(sum_y + c.y_kernel_step);
            PCNN_CYCLES(COMPUTING, 1);
        }
    }
CLEAR:
    for (int pe = 0; pe < PE; ++pe) {
#pragma HLS UNROLL
        accumulator[pe] = bit_accumulator[pe] = 0;
        kept[pe] = 0;
        kept_bit[pe] = kept_bit[PE + pe] = false;
    }
    PCNN_CYCLES(COMPUTING, FILL_COMPUTE);

TAPS:
    for (uint32_t i = 0; i < iterations; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 1048576
#pragma HLS PIPELINE II = 1
#pragma HLS DEPENDENCE variable = maps inter false
#pragma HLS DEPENDENCE variable = results inter false
        PCNN_CYCLES(COMPUTING, 1);
        uint8_t read[SIMD], vector[SIMD], channels[SIMD];
        bool inside[SIMD];
        int32_t delta[PE], bit_delta[PE];
        Parameter parameter[BIT_PE];
        uint16_t skip[PE];
#pragma HLS ARRAY_PARTITION variable = read complete
#pragma HLS ARRAY_PARTITION variable = vector complete
#pragma HLS ARRAY_PARTITION variable = channels complete
#pragma HLS ARRAY_PARTITION variable = inside complete
#pragma HLS ARRAY_PARTITION variable = delta complete
#pragma HLS ARRAY_PARTITION variable = bit_delta complete
#pragma HLS ARRAY_PARTITION variable = parameter complete
#pragma HLS ARRAY_PARTITION variable = skip complete

        // Where the tap is.
        const uint32_t place = p.tile & (ENTRIES - 1);
        const uint32_t even_entry = entries[place / 2][0];
        const uint32_t odd_entry = entries[place / 2][1];
        const Entry entry = unpack_entry(place & 1 ? odd_entry : even_entry);
        const int32_t y = sparse ? p.y + kernel_y[entry.kernel_row] : p.y;
        const int32_t x = sparse ? p.kernel_x + entry.x : p.x;
        const uint32_t start = sparse ? p.start + kernel_start[entry.kernel_row] : p.start;
        const uint32_t address = p.in_skip ? p.skip : start + static_cast<uint32_t>(x);
        const bool row_inside = y >= 0 && y < c.in_rows;

        // What is there.
        read_lanes(maps, address, in_spread, read);
    SELECT:
        for (int lane = 0; lane < SIMD; ++lane) {
#pragma HLS UNROLL
            const uint32_t byte = static_cast<uint32_t>(sparse ? x : x + lane);
            const uint8_t pad = pads[p.pad & (PAD_VECTORS - 1)][lane];
            const bool tail = c.unit == BITS && p.last_chunk && lane >= c.tail_lanes;
            inside[lane] = (row_inside && byte < c.row_bytes && !tail) || p.in_skip;
            vector[lane] = inside[lane]   ? read[lane]
                           : ordered      ? static_cast<uint8_t>(0)
                           : c.pad_vector ? pad
                                          : c.pad_byte;
            channels[lane] = c.pad_vector ? pad : static_cast<uint8_t>(8);
        }
        read_parameters(parameters, skips, sparse ? p.parameter + channel / PE : p.parameter, parameter, skip);

        // What it adds.
        const uint32_t tile = p.tile & (WEIGHT_TILES - 1);
        const uint32_t next_tile = (p.tile + 1) & (WEIGHT_TILES - 1);
        if (c.unit == BITS) {
            const int32_t inside_channels = channels_inside(channels, inside);
        BIT_TILES:
            for (int pe = 0; pe < BIT_PE; ++pe) {
#pragma HLS UNROLL
                uint8_t weight[SIMD];
#pragma HLS ARRAY_PARTITION variable = weight complete
            BIT_WORDS:
                for (int word = 0; word < ROW_WORDS; ++word) {
#pragma HLS UNROLL
                    const uint64_t packed = pe < PE ? weights[tile][pe * ROW_WORDS + word]
                                                    : weights[next_tile][(pe - PE) * ROW_WORDS + word];
                BIT_BYTES:
                    for (int byte = 0; byte < WORD_BYTES; ++byte) {
#pragma HLS UNROLL
                        weight[word * WORD_BYTES + byte] = static_cast<uint8_t>(packed >> (8 * byte));
                    }
                }
                const int32_t sum = inside_channels - 2 * differing_bits(vector, weight, inside);
                if (pe < PE)
                    delta[pe] = sum;
                else
                    bit_delta[pe - PE] = sum;
            }
        } else if (c.unit == BYTES && !p.in_skip) {
            int8_t weight[PE][SIMD];
#pragma HLS ARRAY_PARTITION variable = weight complete dim = 0
        BYTE_TILES:
            for (int word = 0; word < TILE_WORDS; ++word) {
#pragma HLS UNROLL
                const uint64_t packed = weights[tile][word];
            BYTE_BYTES:
                for (int byte = 0; byte < WORD_BYTES; ++byte) {
#pragma HLS UNROLL
                    weight[word / ROW_WORDS][word % ROW_WORDS * WORD_BYTES + byte] =
                        static_cast<int8_t>(packed >> (8 * byte));
                }
            }
            dot_product(vector, weight, delta);
        } else {
            const int32_t from_skip = p.in_skip ? -1 : 0;
            const int32_t from_entry = sparse ? -1 : 0;
            const int32_t from_tile = p.in_skip || sparse || c.ones ? 0 : -1;
            const int32_t one = c.ones && !p.in_skip ? 1 : 0;
        LANE_PRODUCTS:
            for (int lane = 0; lane < PE; ++lane) {
#pragma HLS UNROLL
                const int8_t of_tile =
                    static_cast<int8_t>(weights[tile][lane / WORD_BYTES] >> (8 * (lane % WORD_BYTES)));
                // Chosen by masks: of a choice of products a compiler may make several multipliers.
                const int32_t factor =
                    (from_skip & skip[lane]) | (from_entry & entry.weight) | (from_tile & of_tile) | one;
                delta[lane] = factor * vector[lane];  // 17 x 9 bits: one DSP
            }
        }

        // Where an output begins and ends.
        const bool at_first_tap = p.kernel_row == 0 && p.kernel_col == 0 && p.chunk == 0;
        const bool at_last_tap = p.last_chunk && p.last_kernel_col && p.last_kernel_row && !p.in_skip;
        const bool first_tap = sparse ? entry.first : c.skip ? p.in_skip : at_first_tap;
        const bool last_tap = sparse ? entry.last : at_last_tap;
        const bool first_pool = p.pool_row == 0 && p.pool_col == 0;
        const bool last_pool = p.pool_row + 1 == c.pool_rows && p.pool_col + 1 == c.pool_cols;
        const Parameter of_channel = parameter[channel & (PE - 1)];
    FINISH:
        for (int pe = 0; pe < PE; ++pe) {
#pragma HLS UNROLL
            const Parameter one = sparse ? of_channel : parameter[pe];
            accumulator[pe] = (first_tap ? one.bias : accumulator[pe]) + delta[pe];
            if (last_tap) kept_bit[pe] = accumulator[pe] >= 0 || (kept_bit[pe] && !first_pool);
            if (ordered) {
                const uint8_t before = at_first_tap ? static_cast<uint8_t>(0) : kept[pe];
                const uint8_t larger = vector[pe] > before ? vector[pe] : before;
                kept[pe] = c.unit == OR ? static_cast<uint8_t>(before | vector[pe]) : larger;
            } else if (last_tap) {
                const uint8_t value = requantise(accumulator[pe], one.multiplier, one.shift, c.zero_point, c.low);
                kept[pe] = first_pool || value > kept[pe] ? value : kept[pe];
            }
        }
    FINISH_BITS:
        for (int pe = 0; pe < PE; ++pe) {
#pragma HLS UNROLL
            const int32_t before = first_tap ? parameter[PE + pe].bias : bit_accumulator[pe];
            bit_accumulator[pe] = lowest<BIT_ACCUMULATOR>(before + bit_delta[pe]);
            if (last_tap) kept_bit[PE + pe] = bit_accumulator[pe] >= 0 || (kept_bit[PE + pe] && !first_pool);
        }

        // Where it goes.
        if (last_tap && last_pool) {
            const int32_t full = static_cast<int32_t>(widths.lanes);
            const int32_t lanes = p.lanes < 0 ? 0 : p.lanes > full ? full : p.lanes;
            if (c.int32) {
            KEEP_RESULTS:
                for (int pe = 0; pe < PE; ++pe) {
#pragma HLS UNROLL
                    results[p.out & (RESULT_ENTRIES - 1)][pe] = accumulator[pe];
                }
            } else {
                uint8_t out[SIMD];
#pragma HLS ARRAY_PARTITION variable = out complete
            OUTPUT:
                for (int byte = 0; byte < SIMD; ++byte) {
#pragma HLS UNROLL
                    uint8_t bits = 0;
                PACK:
                    for (int bit = 0; bit < 8; ++bit) {
#pragma HLS UNROLL
                        const int pe = byte * 8 + bit;
                        if (pe < BIT_PE && pe < lanes && kept_bit[pe & (BIT_PE - 1)])
                            bits = static_cast<uint8_t>(bits | 1 << bit);
                    }
                    out[byte] = c.sign ? bits : byte < PE ? kept[byte & (PE - 1)] : static_cast<uint8_t>(0);
                }
                const uint32_t count = c.sign ? (static_cast<uint32_t>(lanes) + 7) / 8 : static_cast<uint32_t>(lanes);
                write_lanes(maps, sparse ? p.out + channel : p.out, out_spread, out, sparse ? images : count);
            }
        }
        // The next iteration.
        const bool column_ends = p.last_chunk;  // of SPARSE, whose chunks are its entries
        channel = !sparse || column_ends ? 0 : entry.last ? channel + 1 : channel;
        step(p, c, widths);
    }
}

}  // namespace pcnn
