// Where the loop of a COMPUTE stands: counters, and the addresses that follow from them.
//
// One flat loop instead of ten nested ones: a nest would drain and refill the pipeline (FILL_COMPUTE cycles) at every
// end of the inner loop, here often only 3 iterations long. Every level of the nest has a pointer of its own: a step of
// a level adds its step to that pointer, and takes those of the levels inside back to it. So nothing is multiplied, and
// a step is one level of comparisons, a chain of ANDs, and one addition a pointer.
//
// Whether a counter of the kernel is at its last number is kept beside it, and found for the next step from the counter
// while the chain of this step settles. Those counters wait for the tap of the skip, which waits for all of them: with
// an addition and a comparison before the chain this circle takes more than a cycle.
#pragma once

#include "instruction.hpp"

namespace pcnn {

struct Position {
    uint16_t row, col, group, chunk;
    uint8_t pool_row, pool_col, kernel_row, kernel_col;
    bool last_chunk, last_kernel_col, last_kernel_row;
    bool in_skip;  // on the tap of the skip, which is before the others
    // of the input: the start of a row, its number, and the byte in it
    uint32_t image_start, row_start, pool_start, start;
    int16_t row_y, pool_y, y;
    int32_t col_x, group_x, pool_x, kernel_x, x;
    uint32_t group_tile, tile;
    uint32_t pad;
    uint32_t parameter;
    uint32_t out_image, out_row, out_col, out;
    uint32_t skip_image, skip_row, skip_col, skip;
    int32_t lanes;  // output channels left in this column
};

inline Position start_of(const Compute &c) {
#pragma HLS INLINE
    Position p;
    p.row = p.col = p.group = p.chunk = 0;
    p.pool_row = p.pool_col = p.kernel_row = p.kernel_col = 0;
    p.last_chunk = c.chunks == 1;
    p.last_kernel_col = c.kernel_cols == 1;
    p.last_kernel_row = c.kernel_rows == 1;
    p.in_skip = c.skip;
    p.image_start = p.row_start = p.pool_start = p.start = c.in_base;
    p.row_y = p.pool_y = p.y = c.first_y;
    p.col_x = p.group_x = p.pool_x = p.kernel_x = p.x = c.first_x;
    p.group_tile = p.tile = c.weights;
    p.pad = c.pads;
    p.parameter = c.parameters;
    p.out_image = p.out_row = p.out_col = p.out = c.out_base;
    p.skip_image = p.skip_row = p.skip_col = p.skip = c.skip_base;
    p.lanes = c.cols == 1 ? c.last_col_lanes : c.col_lanes;
    return p;
}

// What a step of a group and of a tap is, by the unit.
struct Widths {
    uint32_t tap_tiles;   // weight tiles, or entries, of a tap
    uint32_t parameters;  // parameter groups of a group
    uint32_t lanes;       // output channels of a group
    uint32_t bytes;       // bytes, or result entries, that a group writes
};

inline Widths widths_of(const Compute &c) {
#pragma HLS INLINE
    const bool both = c.unit == BITS && !c.half;
    Widths w;
    w.tap_tiles = both ? 2 : 1;
    w.parameters = both ? 2 : 1;
    w.lanes = both ? BIT_PE : PE;
    w.bytes = c.int32 ? 1 : c.sign ? w.lanes / 8 : w.lanes;
    return w;
}

inline void step(Position &p, const Compute &c, const Widths &w) {
#pragma HLS INLINE
    const bool last_pool_col = p.pool_col + 1 == c.pool_cols;
    const bool last_pool_row = p.pool_row + 1 == c.pool_rows;
    const bool last_group = p.group + 1 == c.groups;
    const bool last_col = p.col + 1 == c.cols;
    const bool last_row = p.row + 1 == c.rows;

    if (p.in_skip) {
        p.in_skip = false;
        return;
    }
    const bool next_kernel_col = p.last_chunk;
    const bool next_kernel_row = next_kernel_col & p.last_kernel_col;
    const bool next_pool_col = next_kernel_row & p.last_kernel_row;
    const bool next_pool_row = next_pool_col && last_pool_col;
    const bool next_group = next_pool_row && last_pool_row;
    const bool next_col = next_group && last_group;
    const bool next_row = next_col && last_col;
    const bool next_image = next_row && last_row;

    // Rows of the input, outermost first: each level takes its start from the one outside.
    if (next_image) p.image_start += c.in_image_step;
    if (next_row) {
        p.row_start = next_image ? p.image_start : p.row_start + c.row_step;
        p.row_y = next_image ? c.first_y : static_cast<int16_t>(p.row_y + c.y_row_step);
    }
    if (next_pool_row) {
        p.pool_start = next_group ? p.row_start : p.pool_start + c.pool_row_step;
        p.pool_y = next_group ? p.row_y : static_cast<int16_t>(p.pool_y + c.y_pool_step);
    }
    if (next_kernel_row) {
        p.start = next_pool_col ? p.pool_start : p.start + c.kernel_row_step;
        p.y = next_pool_col ? p.pool_y : static_cast<int16_t>(p.y + c.y_kernel_step);
    }
    // Bytes in the row.
    if (next_col) p.col_x = next_row ? c.first_x : p.col_x + c.col_step;
    if (next_group) p.group_x = next_col ? p.col_x : p.group_x + c.group_step;
    if (next_pool_col) p.pool_x = next_pool_row ? p.group_x : p.pool_x + c.pool_col_step;
    if (next_kernel_col) p.kernel_x = next_kernel_row ? p.pool_x : p.kernel_x + c.kernel_col_step;
    p.x = next_kernel_col ? p.kernel_x : p.x + SIMD;
    // Weights and pads: of a group from its first tile on, at every pooling position.
    if (next_group) p.group_tile = next_col ? c.weights : p.group_tile + c.taps;
    p.tile = next_pool_col ? p.group_tile : p.tile + w.tap_tiles;
    p.pad = next_kernel_row ? c.pads : p.pad + 1;
    if (next_group) p.parameter = next_col ? c.parameters : p.parameter + w.parameters;
    // The output and the skip.
    if (next_image) p.out_image += c.out_image_step;
    if (next_row) p.out_row = next_image ? p.out_image : p.out_row + c.out_row_step;
    if (next_col) p.out_col = next_row ? p.out_row : p.out_col + c.out_col_step;
    if (next_group) p.out = next_col ? p.out_col : p.out + w.bytes;
    if (next_image) p.skip_image += c.skip_image_step;
    if (next_row) p.skip_row = next_image ? p.skip_image : p.skip_row + c.skip_row_step;
    if (next_col) p.skip_col = next_row ? p.skip_row : p.skip_col + c.skip_col_step;
    if (next_group) p.skip = next_col ? p.skip_col : p.skip + PE;
    // Counters.
    p.in_skip = next_pool_col && c.skip;
    const bool ends = p.last_chunk;
    const bool chunk_after_next = p.chunk + 2 == c.chunks;
    p.chunk = ends ? 0 : p.chunk + 1;
    p.last_chunk = ends ? c.chunks == 1 : chunk_after_next;
    const bool col_after_next = p.last_kernel_col ? c.kernel_cols == 1 : p.kernel_col + 2 == c.kernel_cols;
    if (next_kernel_col) p.kernel_col = p.last_kernel_col ? 0 : p.kernel_col + 1;
    p.last_kernel_col = (next_kernel_col & col_after_next) | (!next_kernel_col & p.last_kernel_col);
    const bool row_after_next = p.last_kernel_row ? c.kernel_rows == 1 : p.kernel_row + 2 == c.kernel_rows;
    if (next_kernel_row) p.kernel_row = p.last_kernel_row ? 0 : p.kernel_row + 1;
    p.last_kernel_row = (next_kernel_row & row_after_next) | (!next_kernel_row & p.last_kernel_row);
    if (next_pool_col) p.pool_col = last_pool_col ? 0 : p.pool_col + 1;
    if (next_pool_row) p.pool_row = last_pool_row ? 0 : p.pool_row + 1;
    if (next_group) p.group = last_group ? 0 : p.group + 1;
    if (next_col) p.col = last_col ? 0 : p.col + 1;
    if (next_row) p.row = last_row ? 0 : p.row + 1;
    if (next_col) {
        p.lanes = p.col + 1 == c.cols ? c.last_col_lanes : c.col_lanes;
    } else if (next_group) {
        p.lanes -= static_cast<int32_t>(w.lanes);
    }
}

}  // namespace pcnn
