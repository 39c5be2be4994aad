#include "engine.hpp"

#include "convolution.hpp"

namespace pcnn {

#ifndef __SYNTHESIS__
thread_local uint64_t *cycle_counters = nullptr;
#endif

// One CONV instruction over the batch: tile by tile, and for each tile pass by pass over the weights. The memories are the top function's.
static Status run_conv(const Conv &c, uint32_t images, uint32_t mem_words, const uint64_t *weights, const uint64_t *fm_in, uint64_t *fm_out,
                       uint8_t input[INPUT_ROWS][SIMD], uint8_t output[OUTPUT_ROWS][SIMD],
                       uint64_t weight_tiles[WEIGHT_TILES][TILE_WORDS], uint64_t parameters[PARAM_GROUPS][PE],
                       uint8_t pad[PAD_VECTORS][SIMD], int32_t results[ACC_ENTRIES][PE]) {
#pragma HLS INLINE off
    const Status fault = check(c);
    if (fault != OK) return fault;

    if (c.flags & FLAG_PAD_VECTOR) {
        const uint32_t pad_words = c.chunks * (SIMD / WORD_BYTES);
        if (!inside(c.pad_addr, pad_words, mem_words)) return OUTSIDE_MEMORY;
        load_pad(weights, c.pad_addr, pad_words, pad);
    }

    const uint32_t groups_per_pass = c.single_pass ? c.groups : c.groups_per_pass;
    bool weights_loaded = false;

TILE_IMAGES:
    for (uint32_t image = 0; image < images; image += c.tile_images) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 64
        uint64_t loaded = 0;  // input words up to here are in the ring already: the rows that neighbouring tiles share are read once
    TILE_ROWS:
        for (uint32_t row = 0; row < c.out_h; row += c.tile_rows) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 64
            PCNN_CYCLES(SETUP, FILL_SETUP);
            const Tile tile = tile_at(c, images, image, row);
            Span in;
            if (!input_span(c, tile, in)) return TILE_TOO_LARGE;
            if (in.begin < loaded) in.begin = loaded;
            if (in.begin < in.end) {
                if (!inside(c.in_addr + in.begin, in.end - in.begin, mem_words)) return OUTSIDE_MEMORY;
                load_input(fm_in, c.in_addr + in.begin, in.begin, static_cast<uint32_t>(in.end - in.begin), input);
                loaded = in.end;
            }

        PASSES:
            for (uint32_t group = 0; group < c.groups; group += groups_per_pass) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 64
                Pass pass;
                pass.group = group;
                pass.groups = at_most(c.groups - group, groups_per_pass);
                if (!c.single_pass || !weights_loaded) {
                    const uint64_t weight_word = c.weight_addr + static_cast<uint64_t>(group) * c.taps * TILE_WORDS;
                    const uint64_t parameter_word = c.param_addr + static_cast<uint64_t>(group) * PE;
                    const uint32_t weight_words = pass.groups * c.taps * TILE_WORDS;
                    if (!inside(weight_word, weight_words, mem_words)) return OUTSIDE_MEMORY;
                    if (!inside(parameter_word, pass.groups * PE, mem_words)) return OUTSIDE_MEMORY;
                    load_parameters(weights, parameter_word, pass.groups * PE, parameters);
                    load_weights(weights, weight_word, weight_words, weight_tiles);
                    weights_loaded = true;
                }
                convolve_tile(c, tile, pass, input, pad, weight_tiles, parameters, output, results);
            }

            const bool int32 = c.flags & FLAG_OUTPUT_INT32;
            const Span out = int32 ? result_span(c, tile) : output_span(c, tile);
            const uint32_t words = static_cast<uint32_t>(out.end - out.begin);
            if (!inside(c.out_addr + out.begin, out.end - out.begin, mem_words)) return OUTSIDE_MEMORY;
            if (int32) {
                store_accumulators(fm_out, c.out_addr + out.begin, words, results);
            } else {
                store_bytes(fm_out, c.out_addr + out.begin, out.begin, words, output);
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
    // All on-chip memory, for every instruction: an opcode with arrays of its own would take block RAM of its own.
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
    // One port reads while the other writes, as the loops need; the small ones in LUT RAM, which leaves the block RAM to the
    // large (docs/lab/engine.md).
#pragma HLS BIND_STORAGE variable = input type = ram_2p impl = bram
#pragma HLS BIND_STORAGE variable = output type = ram_2p impl = bram
#pragma HLS BIND_STORAGE variable = weight_tiles type = ram_2p impl = bram
#pragma HLS BIND_STORAGE variable = results type = ram_2p impl = bram
#pragma HLS BIND_STORAGE variable = parameters type = ram_2p impl = lutram
#pragma HLS BIND_STORAGE variable = pad type = ram_2p impl = lutram

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
            result = run_conv(decode(words), images, mem_words, weights, fm_in, fm_out, input, output, weight_tiles, parameters, pad,
                              results);
#ifndef __SYNTHESIS__
            if (cycle_counters) cycle_counters += PHASES;
#endif
        }
    }
    *status = result;
    *failed_at = at;
}
