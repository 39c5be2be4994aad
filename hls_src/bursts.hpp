// Bursts between the AXI ports and the on-chip memories. Each loop moves one 64-bit word a cycle (II = 1: one beat of its port, one write or read of each bank)
// over consecutive addresses, from which Vitis HLS infers a burst. All bounds are checked by the caller with `inside`.
#pragma once

#include "arithmetic.hpp"
#include "banks.hpp"
#include "platform.hpp"

namespace pcnn {

constexpr int INPUT_ROWS = INPUT_BYTES / SIMD;
constexpr int OUTPUT_ROWS = OUTPUT_BYTES / SIMD;

struct Parameter {
    int32_t bias;
    uint16_t multiplier;
    uint8_t shift;
};

inline bool inside(uint64_t address, uint64_t words, uint32_t memory_words) {
#pragma HLS INLINE
    return address + words <= memory_words;
}

// Words [first, first + count) of the batch's input, counted from image 0, into the ring at the same word address.
inline void load_input(const uint64_t *port, uint64_t address, uint64_t first, uint32_t count, uint8_t input[INPUT_ROWS][SIMD]) {
#pragma HLS INLINE off
    PCNN_CYCLES(LOAD_INPUT, FILL_BURST);
LOAD_INPUT_WORDS:
    for (uint32_t i = 0; i < count; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 16380
#pragma HLS PIPELINE II = 1
        write_word<INPUT_ROWS>(input, static_cast<uint32_t>(first + i), port[address + i]);
        PCNN_CYCLES(LOAD_INPUT, 1);
    }
}

inline void load_weights(const uint64_t *port, uint64_t address, uint32_t count, uint64_t weights[WEIGHT_TILES][TILE_WORDS]) {
#pragma HLS INLINE off
    PCNN_CYCLES(LOAD_WEIGHTS, FILL_BURST);
LOAD_WEIGHT_WORDS:
    for (uint32_t i = 0; i < count; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 32 max = 32768
#pragma HLS PIPELINE II = 1
        weights[i / TILE_WORDS][i % TILE_WORDS] = port[address + i];
        PCNN_CYCLES(LOAD_WEIGHTS, 1);
    }
}

inline void load_parameters(const uint64_t *port, uint64_t address, uint32_t count, uint64_t parameters[PARAM_GROUPS][PE]) {
#pragma HLS INLINE off
    PCNN_CYCLES(LOAD_WEIGHTS, FILL_BURST);
LOAD_PARAMETER_WORDS:
    for (uint32_t i = 0; i < count; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 16 max = 1024
#pragma HLS PIPELINE II = 1
        parameters[i / PE][i % PE] = port[address + i];
        PCNN_CYCLES(LOAD_WEIGHTS, 1);
    }
}

inline void load_pad(const uint64_t *port, uint64_t address, uint32_t count, uint8_t pad[PAD_VECTORS][SIMD]) {
#pragma HLS INLINE off
    PCNN_CYCLES(LOAD_WEIGHTS, FILL_BURST);
LOAD_PAD_WORDS:
    for (uint32_t i = 0; i < count; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 2 max = 32
#pragma HLS PIPELINE II = 1
        write_word<PAD_VECTORS>(pad, i, port[address + i]);
        PCNN_CYCLES(LOAD_WEIGHTS, 1);
    }
}

// Words [first, first + count) of the batch's output, counted from image 0, out of the ring.
inline void store_bytes(uint64_t *port, uint64_t address, uint64_t first, uint32_t count, const uint8_t output[OUTPUT_ROWS][SIMD]) {
#pragma HLS INLINE off
    PCNN_CYCLES(STORE, FILL_BURST);
STORE_BYTE_WORDS:
    for (uint32_t i = 0; i < count; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 8188
#pragma HLS PIPELINE II = 1
        port[address + i] = read_word<OUTPUT_ROWS>(output, static_cast<uint32_t>(first + i));
        PCNN_CYCLES(STORE, 1);
    }
}

// `count` words of PE int32 results each entry, two to a word.
inline void store_accumulators(uint64_t *port, uint64_t address, uint32_t count, const int32_t results[ACC_ENTRIES][PE]) {
#pragma HLS INLINE off
    PCNN_CYCLES(STORE, FILL_BURST);
STORE_ACCUMULATOR_WORDS:
    for (uint32_t i = 0; i < count; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 8 max = 8192
#pragma HLS PIPELINE II = 1
        const uint32_t entry = i / ENTRY_WORDS;
        const uint32_t pair = i % ENTRY_WORDS * 2;
        const uint64_t low = static_cast<uint32_t>(results[entry][pair]);
        const uint64_t high = static_cast<uint32_t>(results[entry][pair + 1]);
        port[address + i] = high << 32 | low;
        PCNN_CYCLES(STORE, 1);
    }
}

inline Parameter unpack_parameter(uint64_t word) {
#pragma HLS INLINE
    Parameter p;
    p.bias = static_cast<int32_t>(static_cast<uint32_t>(word));
    p.multiplier = static_cast<uint16_t>(word >> 32);
    p.shift = static_cast<uint8_t>(word >> 48);
    return p;
}

}  // namespace pcnn
