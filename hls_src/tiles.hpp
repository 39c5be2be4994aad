// How a stage is cut up: tiles of its output, passes over its weights, and the words of memory that a tile reads and writes.
#pragma once

#include "geometry.hpp"
#include "instruction.hpp"

namespace pcnn {

// The part of the batch's output that is worked on: images [image, image + images), output rows [row, row + rows) of each.
struct Tile {
    uint32_t image, images, row, rows;
};

// A pass over the output-channel groups [group, group + groups) whose weights are on chip.
struct Pass {
    uint32_t group, groups;
};

// Words [begin, end) of the batch's input or output, counted from image 0.
struct Span {
    uint64_t begin, end;
};

inline uint32_t at_most(uint32_t left, uint32_t step) {
#pragma HLS INLINE
    return left < step ? left : step;
}

// Several images are in a tile whole, with their stride; of one image, some of its rows.
inline bool has_whole_images(const Conv &c) {
#pragma HLS INLINE
    return c.tile_images > 1;
}

inline Tile tile_at(const Conv &c, uint32_t images, uint32_t image, uint32_t row) {
#pragma HLS INLINE
    Tile tile;
    tile.image = image;
    tile.images = at_most(images - image, c.tile_images);
    tile.row = row;
    tile.rows = at_most(c.out_h - row, c.tile_rows);
    return tile;
}

inline Span whole_images(const Tile &tile, uint32_t stride) {
#pragma HLS INLINE
    Span span;
    span.begin = static_cast<uint64_t>(tile.image) * stride;
    span.end = span.begin + static_cast<uint64_t>(tile.images) * stride;
    return span;
}

// The input that a tile reads; false if it does not fit the ring. Rows of windows are clipped to the image.
inline bool input_span(const Conv &c, const Tile &tile, Span &span) {
#pragma HLS INLINE
    span = whole_images(tile, c.in_stride);
    if (has_whole_images(c)) return true;  // `check` has seen that they fit
    const uint64_t window_start = static_cast<uint64_t>(tile.row) * c.pool_stride * c.stride_h;
    const uint64_t first_row = window_start > c.pad_h ? window_start - c.pad_h : 0;
    const uint64_t window_end = window_start + input_rows(c, tile.rows);
    uint64_t end_row = c.in_h;
    if (window_end < static_cast<uint64_t>(c.in_h) + c.pad_h) end_row = window_end > c.pad_h ? window_end - c.pad_h : 0;
    const uint64_t image_word = span.begin;
    span.begin = image_word + first_row * c.row_bytes / WORD_BYTES;
    span.end = image_word + (end_row * c.row_bytes + WORD_BYTES - 1) / WORD_BYTES;
    return (end_row - first_row) * c.row_bytes + TILE_SLACK <= INPUT_BYTES;
}

// The bytes that a tile writes. A word that two tiles share is written twice; its bytes of the earlier tile are still in the ring.
inline Span output_span(const Conv &c, const Tile &tile) {
#pragma HLS INLINE
    Span span = whole_images(tile, c.out_stride);
    if (has_whole_images(c)) return span;
    const uint64_t first_byte = static_cast<uint64_t>(tile.row) * c.out_w * c.out_c;
    const uint64_t last_byte = first_byte + static_cast<uint64_t>(tile.rows) * c.out_w * c.out_c;
    const uint64_t image_word = span.begin;
    span.begin = image_word + first_byte / WORD_BYTES;
    span.end = image_word + (last_byte + WORD_BYTES - 1) / WORD_BYTES;
    return span;
}

// The same of int32 results, which `check` has seen to lie without gaps.
inline Span result_span(const Conv &c, const Tile &tile) {
#pragma HLS INLINE
    const uint64_t row_words = static_cast<uint64_t>(c.out_w) * c.groups * ENTRY_WORDS;
    Span span;
    span.begin = static_cast<uint64_t>(tile.image) * c.out_stride + tile.row * row_words;
    span.end = span.begin + tile.images * tile.rows * row_words;
    return span;
}

}  // namespace pcnn
