// Decoding and checking of instructions (docs/contract/instruction-set.md, sections 3 to 5).
#pragma once

#include "geometry.hpp"

namespace pcnn {

enum Status : uint32_t { OK = 0, UNKNOWN_OPCODE = 1, BAD_FIELD = 2, OUTSIDE_MEMORY = 4 };

enum Opcode : uint8_t { OPCODE_SECTION = 1, OPCODE_LOAD = 2, OPCODE_STORE = 3, OPCODE_COMPUTE = 4 };

constexpr int INSTRUCTION_WORDS = 16;

enum Memory : uint8_t { FEATURE_MAPS = 0, WEIGHTS = 1, PARAMETERS = 2, SPARSE_ENTRIES = 3, PADS = 4, RESULTS = 5 };

constexpr uint16_t MOVE_PER_IMAGE = 1;
constexpr uint16_t MOVE_MERGED = 2;

enum Unit : uint8_t { BYTES = 0, BITS = 1, DEPTHWISE = 2, MAX = 3, OR = 4, SPARSE = 5, UNITS = 6 };

constexpr uint16_t FLAG_INT32 = 1;
constexpr uint16_t FLAG_SIGN = 2;
constexpr uint16_t FLAG_SKIP = 4;
constexpr uint16_t FLAG_PAD_VECTOR = 8;
constexpr uint16_t FLAG_ONES = 16;
constexpr uint16_t FLAG_HALF = 32;

inline uint32_t field(uint64_t word, int low, int bits) {
#pragma HLS INLINE
    return static_cast<uint32_t>(word >> low) & static_cast<uint32_t>((static_cast<uint64_t>(1) << bits) - 1);
}

inline int32_t signed_field(uint64_t word, int low) {
#pragma HLS INLINE
    return static_cast<int32_t>(field(word, low, 32));
}

inline int16_t signed_short(uint64_t word, int low) {
#pragma HLS INLINE
    return static_cast<int16_t>(field(word, low, 16));
}

struct Section {
    uint16_t body;
    uint32_t group;
};

inline Section decode_section(uint64_t word) {
#pragma HLS INLINE
    Section s;
    s.body = static_cast<uint16_t>(field(word, 16, 16));
    s.group = field(word, 32, 32);
    return s;
}

// A LOAD or STORE.
struct Move {
    uint8_t memory;
    bool per_image, merged;
    uint32_t words, address, image_stride, place, image_step, run, run_step, bursts, burst_stride, burst_step;
};

inline Move decode_move(const uint64_t w[INSTRUCTION_WORDS]) {
#pragma HLS INLINE
    Move m;
    m.memory = static_cast<uint8_t>(field(w[0], 8, 8));
    const uint32_t flags = field(w[0], 16, 16);
    m.per_image = flags & MOVE_PER_IMAGE;
    m.merged = flags & MOVE_MERGED;
    m.words = field(w[0], 32, 32);
    m.address = field(w[1], 0, 32);
    m.image_stride = field(w[1], 32, 32);
    m.place = field(w[2], 0, 32);
    m.image_step = field(w[2], 32, 32);
    m.run = field(w[3], 0, 32);
    m.run_step = field(w[3], 32, 32);
    m.bursts = field(w[4], 0, 32);
    m.burst_stride = field(w[4], 32, 32);
    m.burst_step = field(w[5], 0, 32);
    return m;
}

struct Compute {
    uint8_t unit;
    bool int32, sign, skip, pad_vector, ones, half;
    uint16_t rows, cols, groups, chunks;
    uint8_t pool_rows, pool_cols, kernel_rows, kernel_cols;
    uint32_t iterations, in_image_step, in_base;
    int32_t row_step, pool_row_step, kernel_row_step, col_step, pool_col_step, kernel_col_step, group_step;
    int16_t first_y, y_row_step, y_pool_step, y_kernel_step;
    uint16_t in_rows;
    uint32_t row_bytes;
    int32_t first_x;
    uint32_t weights, taps;
    uint16_t parameters, pads;
    uint8_t zero_point, low, pad_byte, tail_lanes;
    uint16_t col_lanes, last_col_lanes;
    uint32_t out_base, out_image_step, out_row_step, out_col_step;
    uint32_t skip_base, skip_image_step, skip_row_step, skip_col_step;
};

inline Compute decode_compute(const uint64_t w[INSTRUCTION_WORDS]) {
#pragma HLS INLINE
    Compute c;
    c.unit = static_cast<uint8_t>(field(w[0], 8, 8));
    const uint32_t flags = field(w[0], 16, 16);
    c.int32 = flags & FLAG_INT32;
    c.sign = flags & FLAG_SIGN;
    c.skip = flags & FLAG_SKIP;
    c.pad_vector = flags & FLAG_PAD_VECTOR;
    c.ones = flags & FLAG_ONES;
    c.half = flags & FLAG_HALF;
    c.rows = static_cast<uint16_t>(field(w[0], 32, 16));
    c.cols = static_cast<uint16_t>(field(w[0], 48, 16));
    c.groups = static_cast<uint16_t>(field(w[1], 0, 16));
    c.pool_rows = static_cast<uint8_t>(field(w[1], 16, 8));
    c.pool_cols = static_cast<uint8_t>(field(w[1], 24, 8));
    c.kernel_rows = static_cast<uint8_t>(field(w[1], 32, 8));
    c.kernel_cols = static_cast<uint8_t>(field(w[1], 40, 8));
    c.chunks = static_cast<uint16_t>(field(w[1], 48, 16));
    c.iterations = field(w[2], 0, 32);
    c.in_image_step = field(w[2], 32, 32);
    c.in_base = field(w[3], 0, 32);
    c.row_step = signed_field(w[3], 32);
    c.pool_row_step = signed_field(w[4], 0);
    c.kernel_row_step = signed_field(w[4], 32);
    c.col_step = signed_field(w[5], 0);
    c.pool_col_step = signed_field(w[5], 32);
    c.kernel_col_step = signed_field(w[6], 0);
    c.group_step = signed_field(w[6], 32);
    c.first_y = signed_short(w[7], 0);
    c.y_row_step = signed_short(w[7], 16);
    c.y_pool_step = signed_short(w[7], 32);
    c.y_kernel_step = signed_short(w[7], 48);
    c.in_rows = static_cast<uint16_t>(field(w[8], 0, 16));
    c.row_bytes = field(w[8], 32, 32);
    c.first_x = signed_field(w[9], 0);
    c.weights = field(w[9], 32, 32);
    c.taps = field(w[10], 0, 32);
    c.parameters = static_cast<uint16_t>(field(w[10], 32, 16));
    c.pads = static_cast<uint16_t>(field(w[10], 48, 16));
    c.zero_point = static_cast<uint8_t>(field(w[11], 0, 8));
    c.low = static_cast<uint8_t>(field(w[11], 8, 8));
    c.pad_byte = static_cast<uint8_t>(field(w[11], 16, 8));
    c.tail_lanes = static_cast<uint8_t>(field(w[11], 24, 8));
    c.col_lanes = static_cast<uint16_t>(field(w[11], 32, 16));
    c.last_col_lanes = static_cast<uint16_t>(field(w[11], 48, 16));
    c.out_base = field(w[12], 0, 32);
    c.out_image_step = field(w[12], 32, 32);
    c.out_row_step = field(w[13], 0, 32);
    c.out_col_step = field(w[13], 32, 32);
    c.skip_base = field(w[14], 0, 32);
    c.skip_image_step = field(w[14], 32, 32);
    c.skip_row_step = field(w[15], 0, 32);
    c.skip_col_step = field(w[15], 32, 32);
    return c;
}

// What no counter may be, as it would not come to its end; and what the loop is not written for.
inline Status check(const Compute &c) {
#pragma HLS INLINE
    if (c.unit >= UNITS) return BAD_FIELD;
    if (c.rows == 0 || c.cols == 0 || c.groups == 0 || c.chunks == 0 || c.pool_rows == 0 || c.pool_cols == 0)
        return BAD_FIELD;
    if (c.kernel_rows == 0 || c.kernel_cols == 0 || c.iterations == 0) return BAD_FIELD;
    if (c.skip && c.unit != BYTES && c.unit != DEPTHWISE) return BAD_FIELD;
    return OK;
}

inline Status check(const Move &m) {
#pragma HLS INLINE
    return m.words == 0 || m.run == 0 || m.bursts == 0 || m.bursts >> 16 ? BAD_FIELD : OK;
}

}  // namespace pcnn
