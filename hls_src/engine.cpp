#include "engine.hpp"

#include "convolution.hpp"

namespace pcnn {

#ifndef __SYNTHESIS__
thread_local uint64_t *cycle_counters = nullptr;
#endif

// One CONV instruction over the batch: tile by tile, and for each tile pass by pass over the weights.
static Status run_conv(const Conv &c, uint32_t images, uint32_t mem_words, const uint64_t *weights, const uint64_t *fm_in, uint64_t *fm_out) {
#pragma HLS INLINE off
    PCNN_ON_CHIP uint8_t input[INPUT_ROWS][SIMD];
    PCNN_ON_CHIP uint8_t output[OUTPUT_ROWS][SIMD];
    PCNN_ON_CHIP uint64_t weight_tiles[WEIGHT_TILES][TILE_WORDS];
    PCNN_ON_CHIP uint64_t parameters[PARAM_GROUPS][PE];
    PCNN_ON_CHIP uint8_t pad[PAD_VECTORS][SIMD];
    PCNN_ON_CHIP int32_t results[ACC_ENTRIES][PE];
#pragma HLS ARRAY_PARTITION variable = input complete dim = 2
#pragma HLS ARRAY_PARTITION variable = output complete dim = 2
#pragma HLS ARRAY_PARTITION variable = weight_tiles complete dim = 2
#pragma HLS ARRAY_PARTITION variable = parameters complete dim = 2
#pragma HLS ARRAY_PARTITION variable = pad complete dim = 2
#pragma HLS ARRAY_PARTITION variable = results complete dim = 2
    // One port reads while the other writes, as the loops need; the small ones in LUT RAM, which leaves the block RAM to the large (docs/engine.md).
#pragma HLS BIND_STORAGE variable = input type = ram_2p impl = bram
#pragma HLS BIND_STORAGE variable = output type = ram_2p impl = bram
#pragma HLS BIND_STORAGE variable = weight_tiles type = ram_2p impl = bram
#pragma HLS BIND_STORAGE variable = results type = ram_2p impl = bram
#pragma HLS BIND_STORAGE variable = parameters type = ram_2p impl = lutram
#pragma HLS BIND_STORAGE variable = pad type = ram_2p impl = lutram

    const Status fault = check(c);
    if (fault != OK) return fault;

    if (c.flags & FLAG_PAD_VECTOR) {
        const uint32_t pad_words = c.chunks * (SIMD / WORD_BYTES);
        if (!inside(c.pad_addr, pad_words, mem_words)) return OUTSIDE_MEMORY;
        load_pad(weights, c.pad_addr, pad_words, pad);
    }

    const uint32_t groups_per_pass = c.single_pass ? c.groups : c.groups_per_pass;
    const bool int32 = c.flags & FLAG_OUTPUT_INT32;
    bool weights_loaded = false;

TILE_IMAGES:
    for (uint32_t image = 0; image < images; image += c.tile_images) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 64
        uint64_t loaded = 0;  // input words up to here are in the ring already: the rows that neighbouring tiles share are read once
    TILE_ROWS:
        for (uint32_t row = 0; row < c.out_h; row += c.tile_rows) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 64
            PCNN_CYCLES(SETUP, FILL_SETUP);
            Tile tile;
            tile.image = image;
            tile.images = images - image < c.tile_images ? images - image : c.tile_images;
            tile.row = row;
            tile.rows = c.out_h - row < c.tile_rows ? c.out_h - row : c.tile_rows;

            // Input rows that this tile reads, clipped to the image.
            const bool whole = c.tile_images > 1;
            const uint64_t window_start = static_cast<uint64_t>(row) * c.pool_stride * c.stride_h;
            const uint64_t first_row = window_start > c.pad_h ? window_start - c.pad_h : 0;
            const uint64_t window_end = window_start + input_rows(c, tile.rows);
            const uint64_t end_row = window_end < static_cast<uint64_t>(c.in_h) + c.pad_h ? (window_end > c.pad_h ? window_end - c.pad_h : 0) : c.in_h;
            const uint64_t image_word = static_cast<uint64_t>(image) * c.in_stride;
            uint64_t begin = image_word;
            uint64_t end = image_word + static_cast<uint64_t>(tile.images) * c.in_stride;
            if (!whole) {
                if ((end_row - first_row) * c.row_bytes + TILE_SLACK > INPUT_BYTES) return TILE_TOO_LARGE;
                begin = image_word + first_row * c.row_bytes / WORD_BYTES;
                end = image_word + (end_row * c.row_bytes + WORD_BYTES - 1) / WORD_BYTES;
                if (begin < loaded) begin = loaded;
            }
            if (begin < end) {
                if (!inside(c.in_addr + begin, end - begin, mem_words)) return OUTSIDE_MEMORY;
                load_input(fm_in, c.in_addr + begin, begin, static_cast<uint32_t>(end - begin), input);
                loaded = end;
            }

        PASSES:
            for (uint32_t group = 0; group < c.groups; group += groups_per_pass) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 64
                Pass pass;
                pass.group = group;
                pass.groups = c.groups - group < groups_per_pass ? c.groups - group : groups_per_pass;
                if (!c.single_pass || !weights_loaded) {
                    const uint64_t weight_word = c.weight_addr + static_cast<uint64_t>(group) * c.taps * TILE_WORDS;
                    const uint64_t parameter_word = c.param_addr + static_cast<uint64_t>(group) * PE;
                    const uint32_t weight_words = pass.groups * c.taps * TILE_WORDS;
                    if (!inside(weight_word, weight_words, mem_words) || !inside(parameter_word, pass.groups * PE, mem_words)) return OUTSIDE_MEMORY;
                    load_parameters(weights, parameter_word, pass.groups * PE, parameters);
                    load_weights(weights, weight_word, weight_words, weight_tiles);
                    weights_loaded = true;
                }
                convolve_tile(c, tile, pass, input, pad, weight_tiles, parameters, output, results);
            }

            const uint64_t out_image_word = static_cast<uint64_t>(image) * c.out_stride;
            const uint32_t row_pixels = static_cast<uint32_t>(c.out_w) * tile.rows;
            if (int32) {
                const uint32_t entries = row_pixels * tile.images * c.groups;
                const uint64_t first = out_image_word + static_cast<uint64_t>(row) * c.out_w * c.groups * ENTRY_WORDS;
                if (!inside(c.out_addr + first, static_cast<uint64_t>(entries) * ENTRY_WORDS, mem_words)) return OUTSIDE_MEMORY;
                store_accumulators(fm_out, c.out_addr + first, entries, results);
            } else {
                uint64_t first = out_image_word;
                uint64_t last = out_image_word + static_cast<uint64_t>(tile.images) * c.out_stride;
                if (!whole) {
                    // A word that two tiles share is written twice; its bytes of the earlier tile are still in the ring.
                    const uint64_t first_byte = static_cast<uint64_t>(row) * c.out_w * c.out_c;
                    const uint64_t last_byte = first_byte + static_cast<uint64_t>(row_pixels) * c.out_c;
                    first = out_image_word + first_byte / WORD_BYTES;
                    last = out_image_word + (last_byte + WORD_BYTES - 1) / WORD_BYTES;
                }
                if (!inside(c.out_addr + first, last - first, mem_words)) return OUTSIDE_MEMORY;
                store_bytes(fm_out, c.out_addr + first, first, static_cast<uint32_t>(last - first), output);
            }
        }
    }
    return OK;
}

}  // namespace pcnn

extern "C" void pynq_cnn_engine(const uint64_t *weights, const uint64_t *fm_in, uint64_t *fm_out, uint32_t mem_words, uint32_t program, uint32_t instructions,
                                uint32_t images, uint32_t *status, uint32_t *failed_at, uint32_t *magic, uint32_t *isa_version, uint32_t *geometry,
                                uint32_t *buffers, uint32_t *build) {
#pragma HLS INTERFACE m_axi port = weights offset = slave bundle = gmem0 depth = 65536 max_read_burst_length = 128 num_read_outstanding = 8 latency = 40
#pragma HLS INTERFACE m_axi port = fm_in offset = slave bundle = gmem1 depth = 65536 max_read_burst_length = 128 num_read_outstanding = 8 latency = 40
#pragma HLS INTERFACE m_axi port = fm_out offset = slave bundle = gmem2 depth = 65536 max_write_burst_length = 128 num_write_outstanding = 8 latency = 40
#pragma HLS INTERFACE s_axilite port = weights bundle = control
#pragma HLS INTERFACE s_axilite port = fm_in bundle = control
#pragma HLS INTERFACE s_axilite port = fm_out bundle = control
#pragma HLS INTERFACE s_axilite port = mem_words bundle = control
#pragma HLS INTERFACE s_axilite port = program bundle = control
#pragma HLS INTERFACE s_axilite port = instructions bundle = control
#pragma HLS INTERFACE s_axilite port = images bundle = control
#pragma HLS INTERFACE s_axilite port = status bundle = control
#pragma HLS INTERFACE s_axilite port = failed_at bundle = control
#pragma HLS INTERFACE s_axilite port = magic bundle = control
#pragma HLS INTERFACE s_axilite port = isa_version bundle = control
#pragma HLS INTERFACE s_axilite port = geometry bundle = control
#pragma HLS INTERFACE s_axilite port = buffers bundle = control
#pragma HLS INTERFACE s_axilite port = build bundle = control
#pragma HLS INTERFACE s_axilite port = return bundle = control
    using namespace pcnn;
    *magic = MAGIC;
    *isa_version = ISA_VERSION;
    *geometry = PE | SIMD << 8 | PARAM_GROUPS << 16;
    *buffers = LOG2_INPUT_BYTES | LOG2_OUTPUT_BYTES << 8 | LOG2_WEIGHT_TILES << 16 | LOG2_ACC_ENTRIES << 24;
    *build = PCNN_BUILD;

    Status result = OK;
    uint32_t at = 0;
INSTRUCTIONS:
    for (uint32_t i = 0; i < instructions && result == OK; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 32
        at = i;
        const uint64_t address = program + static_cast<uint64_t>(i) * INSTRUCTION_WORDS;
        if (!inside(address, INSTRUCTION_WORDS, mem_words)) {
            result = OUTSIDE_MEMORY;
        } else {
            uint64_t words[INSTRUCTION_WORDS];
            PCNN_CYCLES(SETUP, FILL_BURST + FILL_SETUP);
        FETCH:
            for (int w = 0; w < INSTRUCTION_WORDS; ++w) {
#pragma HLS PIPELINE II = 1
                words[w] = weights[address + w];
                PCNN_CYCLES(SETUP, 1);
            }
            result = run_conv(decode(words), images, mem_words, weights, fm_in, fm_out);
#ifndef __SYNTHESIS__
            if (cycle_counters) cycle_counters += PHASES;
#endif
        }
    }
    *status = result;
    *failed_at = at;
}
