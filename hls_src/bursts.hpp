// LOAD and STORE: bursts between the AXI port and the on-chip memories (docs/contract/instruction-set.md, section 4).
//
// Each loop moves one 64-bit word a cycle (II = 1: one beat of the port, one write or read of each bank) over
// consecutive addresses, from which Vitis HLS infers a burst. Bounds are checked by the caller with `inside`.
#pragma once

#include "banks.hpp"
#include "instruction.hpp"
#include "platform.hpp"

namespace pcnn {

inline bool inside(uint64_t address, uint64_t words, uint32_t memory_words) {
#pragma HLS INLINE
    return address + words <= memory_words;
}

inline void load_maps(const uint64_t *port, uint64_t address, uint32_t count, uint32_t place, uint32_t run,
                      uint32_t run_step, uint8_t maps[FEATURE_MAP_ROWS][SIMD]) {
#pragma HLS INLINE off
    uint32_t start = place, byte = place, in_run = 0;
    PCNN_CYCLES(LOAD_INPUT, FILL_BURST);
LOAD_MAP_WORDS:
    for (uint32_t i = 0; i < count; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 32768
#pragma HLS PIPELINE II = 1
        write_word(maps, byte, port[address + i]);
        const bool ends = ++in_run == run;
        if (ends) start += run_step;
        byte = ends ? start : byte + WORD_BYTES;
        if (ends) in_run = 0;
        PCNN_CYCLES(LOAD_INPUT, 1);
    }
}

inline void load_weights(const uint64_t *port, uint64_t address, uint32_t count, uint32_t place, uint32_t run,
                         uint64_t weights[WEIGHT_TILES][TILE_WORDS]) {
#pragma HLS INLINE off
    uint32_t tile = place, in_run = 0;
    PCNN_CYCLES(LOAD_WEIGHTS, FILL_BURST);
LOAD_WEIGHT_WORDS:
    for (uint32_t i = 0; i < count; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 2 max = 32768
#pragma HLS PIPELINE II = 1
        weights[tile & (WEIGHT_TILES - 1)][in_run & (TILE_WORDS - 1)] = port[address + i];
        const bool ends = ++in_run == run;
        if (ends) ++tile;
        if (ends) in_run = 0;
        PCNN_CYCLES(LOAD_WEIGHTS, 1);
    }
}

inline void load_parameters(const uint64_t *port, uint64_t address, uint32_t count, uint32_t place,
                            uint64_t parameters[PARAM_GROUPS / 2][2][PE], uint16_t skips[PARAM_GROUPS / 2][2][PE]) {
#pragma HLS INLINE off
    PCNN_CYCLES(LOAD_WEIGHTS, FILL_BURST);
LOAD_PARAMETER_WORDS:
    for (uint32_t i = 0; i < count; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 16 max = 2048
#pragma HLS PIPELINE II = 1
        const uint64_t word = port[address + i];
        const uint32_t group = place + i / PARAM_WORDS;
        const uint32_t pe = i / 2 % PE;
        const uint32_t row = (group / 2) & (PARAM_GROUPS / 2 - 1);
        if (i & 1) {
            skips[row][group & 1][pe] = static_cast<uint16_t>(word);
        } else {
            parameters[row][group & 1][pe] = word;
        }
        PCNN_CYCLES(LOAD_WEIGHTS, 1);
    }
}

inline void load_entries(const uint64_t *port, uint64_t address, uint32_t count, uint32_t place,
                         uint32_t entries[ENTRIES / 2][2]) {
#pragma HLS INLINE off
    PCNN_CYCLES(LOAD_WEIGHTS, FILL_BURST);
LOAD_ENTRY_WORDS:
    for (uint32_t i = 0; i < count; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 2048
#pragma HLS PIPELINE II = 1
        const uint64_t word = port[address + i];
        const uint32_t row = (place / 2 + i) & (ENTRIES / 2 - 1);
        entries[row][0] = static_cast<uint32_t>(word);
        entries[row][1] = static_cast<uint32_t>(word >> 32);
        PCNN_CYCLES(LOAD_WEIGHTS, 1);
    }
}

inline void load_pads(const uint64_t *port, uint64_t address, uint32_t count, uint32_t place,
                      uint8_t pads[PAD_VECTORS][SIMD]) {
#pragma HLS INLINE off
    PCNN_CYCLES(LOAD_WEIGHTS, FILL_BURST);
LOAD_PAD_WORDS:
    for (uint32_t i = 0; i < count; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 2 max = 128
#pragma HLS PIPELINE II = 1
        const uint64_t word = port[address + i];
    LOAD_PAD_BYTES:
        for (uint32_t lane = 0; lane < SIMD; ++lane) {
#pragma HLS UNROLL
            if (lane / WORD_BYTES == i % ROW_WORDS)
                pads[(place + i / ROW_WORDS) & (PAD_VECTORS - 1)][lane] =
                    static_cast<uint8_t>(word >> (8 * (lane % WORD_BYTES)));
        }
        PCNN_CYCLES(LOAD_WEIGHTS, 1);
    }
}

inline void store_maps(uint64_t *port, uint64_t address, uint32_t count, uint32_t place, uint32_t run,
                       uint32_t run_step, const uint8_t maps[FEATURE_MAP_ROWS][SIMD]) {
#pragma HLS INLINE off
    uint32_t start = place, byte = place, in_run = 0;
    PCNN_CYCLES(STORING, FILL_BURST);
STORE_MAP_WORDS:
    for (uint32_t i = 0; i < count; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 32768
#pragma HLS PIPELINE II = 1
        port[address + i] = read_word(maps, byte);
        const bool ends = ++in_run == run;
        if (ends) start += run_step;
        byte = ends ? start : byte + WORD_BYTES;
        if (ends) in_run = 0;
        PCNN_CYCLES(STORING, 1);
    }
}

// `count` words of PE int32 results each entry, two to a word.
inline void store_results(uint64_t *port, uint64_t address, uint32_t count, uint32_t place,
                          const int32_t results[RESULT_ENTRIES][PE]) {
#pragma HLS INLINE off
    PCNN_CYCLES(STORING, FILL_BURST);
STORE_RESULT_WORDS:
    for (uint32_t i = 0; i < count; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 4 max = 512
#pragma HLS PIPELINE II = 1
        const uint32_t entry = (place + i / RESULT_WORDS) & (RESULT_ENTRIES - 1);
        const uint32_t pair = i % RESULT_WORDS * 2;
        const uint64_t low = static_cast<uint32_t>(results[entry][pair]);
        const uint64_t high = static_cast<uint32_t>(results[entry][pair + 1]);
        port[address + i] = high << 32 | low;
        PCNN_CYCLES(STORING, 1);
    }
}

}  // namespace pcnn
