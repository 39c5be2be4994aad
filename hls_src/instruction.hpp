// Decoding and checking of instructions (docs/contract/instruction-set.md, section 2).
#pragma once

#include "geometry.hpp"

namespace pcnn {

enum Status : uint32_t { OK = 0, UNKNOWN_OPCODE = 1, BAD_FIELD = 2, TILE_TOO_LARGE = 3, OUTSIDE_MEMORY = 4 };

constexpr int INSTRUCTION_WORDS = 8;
constexpr uint8_t OPCODE_CONV = 1;
constexpr uint8_t FLAG_OUTPUT_INT32 = 1;
constexpr uint8_t FLAG_PAD_VECTOR = 2;

struct Conv {
    uint8_t opcode, flags, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
    uint16_t in_h, in_w, in_c, out_c, out_h, out_w;
    uint8_t pool_size, pool_stride;
    uint16_t groups_per_pass, tile_images, tile_rows, chunks;
    uint32_t in_addr, out_addr, weight_addr, param_addr, pad_addr, in_stride, out_stride;
    // derived
    uint32_t groups;      // of PE output channels
    uint32_t taps;        // weight tiles of a group: cycles for one accumulator
    uint32_t row_bytes;   // one row of the input
    uint32_t image_bytes; // one image of the input
    bool single_pass;     // all weights on chip at once
};

inline uint32_t field(uint64_t word, int low, int bits) {
#pragma HLS INLINE
    return static_cast<uint32_t>(word >> low) & static_cast<uint32_t>((static_cast<uint64_t>(1) << bits) - 1);
}

inline Conv decode(const uint64_t w[INSTRUCTION_WORDS]) {
#pragma HLS INLINE
    Conv c;
    c.opcode = field(w[0], 0, 8);
    c.flags = field(w[0], 8, 8);
    c.kernel_h = field(w[0], 16, 8);
    c.kernel_w = field(w[0], 24, 8);
    c.stride_h = field(w[0], 32, 8);
    c.stride_w = field(w[0], 40, 8);
    c.pad_h = field(w[0], 48, 8);
    c.pad_w = field(w[0], 56, 8);
    c.in_h = field(w[1], 0, 16);
    c.in_w = field(w[1], 16, 16);
    c.in_c = field(w[1], 32, 16);
    c.out_c = field(w[1], 48, 16);
    c.out_h = field(w[2], 0, 16);
    c.out_w = field(w[2], 16, 16);
    c.pool_size = field(w[2], 32, 8);
    c.pool_stride = field(w[2], 40, 8);
    c.groups_per_pass = field(w[2], 48, 16);
    c.tile_images = field(w[3], 0, 16);
    c.tile_rows = field(w[3], 16, 16);
    c.chunks = field(w[3], 32, 16);
    c.in_addr = field(w[4], 0, 32);
    c.out_addr = field(w[4], 32, 32);
    c.weight_addr = field(w[5], 0, 32);
    c.param_addr = field(w[5], 32, 32);
    c.pad_addr = field(w[6], 0, 32);
    c.in_stride = field(w[6], 32, 32);
    c.out_stride = field(w[7], 0, 32);
    c.groups = (c.out_c + PE - 1u) / PE;
    c.taps = static_cast<uint32_t>(c.kernel_h) * c.chunks;
    c.row_bytes = static_cast<uint32_t>(c.in_w) * c.in_c;
    c.image_bytes = c.in_h * c.row_bytes;  // meaningful once `check` has bounded it
    c.single_pass = c.groups_per_pass >= c.groups;
    return c;
}

// Input rows that `rows` output rows (after pooling) read, before clipping to the image.
inline uint64_t input_rows(const Conv &c, uint32_t rows) {
#pragma HLS INLINE
    const uint64_t conv_rows = static_cast<uint64_t>(rows - 1) * c.pool_stride + c.pool_size;
    return (conv_rows - 1) * c.stride_h + c.kernel_h;
}

inline bool size_fits(uint16_t in, uint8_t kernel, uint8_t stride, uint8_t pad, uint8_t pool, uint8_t pool_stride, uint16_t out) {
#pragma HLS INLINE
    // The last window must end inside the padded image: out is at least 1 here.
    const uint64_t last_conv = static_cast<uint64_t>(out - 1) * pool_stride + pool - 1;
    return last_conv * stride + kernel <= static_cast<uint64_t>(in) + 2u * pad;
}

// Everything that could make a loop run wild or a buffer wrap onto itself. Addresses are checked burst by burst.
inline Status check(const Conv &c) {
#pragma HLS INLINE off
    if (c.opcode != OPCODE_CONV) return UNKNOWN_OPCODE;
    const bool int32 = c.flags & FLAG_OUTPUT_INT32;
    if (c.kernel_h < 1 || c.kernel_h > MAX_KERNEL || c.kernel_w < 1 || c.kernel_w > MAX_KERNEL) return BAD_FIELD;
    if (c.stride_h < 1 || c.stride_w < 1 || c.pad_h >= c.kernel_h || c.pad_w >= c.kernel_w) return BAD_FIELD;
    if (c.in_h < 1 || c.in_w < 1 || c.in_c < 1 || c.out_c < 1 || c.out_h < 1 || c.out_w < 1) return BAD_FIELD;
    if (c.pool_size < 1 || c.pool_stride < 1 || (int32 && c.pool_size > 1)) return BAD_FIELD;
    if (c.groups_per_pass < 1 || c.tile_images < 1 || c.tile_rows < 1 || c.tile_rows > c.out_h) return BAD_FIELD;
    if (c.tile_images > 1 && c.tile_rows != c.out_h) return BAD_FIELD;
    const uint32_t window_row = static_cast<uint32_t>(c.kernel_w) * c.in_c;
    if (c.chunks < 1 || c.chunks * static_cast<uint32_t>(SIMD) < window_row || (c.chunks - 1u) * SIMD >= window_row) return BAD_FIELD;
    if ((c.flags & FLAG_PAD_VECTOR) && c.chunks > PAD_VECTORS) return BAD_FIELD;
    if (!size_fits(c.in_h, c.kernel_h, c.stride_h, c.pad_h, c.pool_size, c.pool_stride, c.out_h)) return BAD_FIELD;
    if (!size_fits(c.in_w, c.kernel_w, c.stride_w, c.pad_w, c.pool_size, c.pool_stride, c.out_w)) return BAD_FIELD;

    const uint64_t image_bytes = static_cast<uint64_t>(c.in_h) * c.row_bytes;
    const uint64_t out_pixels = static_cast<uint64_t>(c.out_h) * c.out_w;
    const uint64_t out_words = int32 ? out_pixels * c.groups * ENTRY_WORDS : (out_pixels * c.out_c + WORD_BYTES - 1) / WORD_BYTES;
    if (static_cast<uint64_t>(c.in_stride) * WORD_BYTES < image_bytes || c.out_stride < out_words) return BAD_FIELD;
    if (int32 && c.out_stride != out_words) return BAD_FIELD;  // results of a tile leave in one burst

    // Several images are in the ring whole, with their stride; of one image, the rows that a tile reads, which `run_conv` counts.
    const bool whole = c.tile_images > 1;
    const uint64_t pixels = static_cast<uint64_t>(c.tile_images) * c.tile_rows * c.out_w;
    const uint64_t out_bytes = whole ? static_cast<uint64_t>(c.tile_images) * c.out_stride * WORD_BYTES : pixels * c.out_c;
    if (whole && static_cast<uint64_t>(c.tile_images) * c.in_stride * WORD_BYTES + TILE_SLACK > INPUT_BYTES) return TILE_TOO_LARGE;
    if (int32 ? pixels * c.groups > ACC_ENTRIES : out_bytes + TILE_SLACK > OUTPUT_BYTES) return TILE_TOO_LARGE;
    const uint32_t on_chip = c.single_pass ? c.groups : c.groups_per_pass;
    if (on_chip > PARAM_GROUPS || static_cast<uint64_t>(on_chip) * c.taps > WEIGHT_TILES) return TILE_TOO_LARGE;
    return OK;
}

}  // namespace pcnn
