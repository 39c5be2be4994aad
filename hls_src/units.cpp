// The engine's units, each in a loop of its own between ports, so that a synthesis tool can be put beside the audit's
// count for each (docs/lab/engine.md, "Beside a synthesis tool"). Not part of the engine.
#include "banks.hpp"
#include "compute.hpp"
#include "finish.hpp"
#include "mac_bits.hpp"
#include "mac_bytes.hpp"
#include "position.hpp"

using namespace pcnn;

constexpr uint32_t TRIES = 64;

// Bits: one output channel, SIMD bytes of activations and weights, with accumulator and threshold.
extern "C" void unit_bits(const uint8_t a[TRIES][SIMD], const uint8_t w[TRIES][SIMD], const uint8_t mask[TRIES][SIMD],
                          const int32_t bias[TRIES], const uint8_t flags[TRIES], uint8_t out[TRIES]) {
    int32_t accumulator = 0;
BITS_LOOP:
    for (uint32_t i = 0; i < TRIES; ++i) {
#pragma HLS PIPELINE II = 1
        uint8_t vector[SIMD], weight[SIMD];
        bool inside[SIMD];
#pragma HLS ARRAY_PARTITION variable = vector complete
#pragma HLS ARRAY_PARTITION variable = weight complete
#pragma HLS ARRAY_PARTITION variable = inside complete
    BITS_LANES:
        for (int lane = 0; lane < SIMD; ++lane) {
#pragma HLS UNROLL
            vector[lane] = a[i][lane];
            weight[lane] = w[i][lane];
            inside[lane] = mask[i][lane] & 1;
        }
        const int32_t before = flags[i] & 1 ? bias[i] : accumulator;
        accumulator = lowest<BIT_ACCUMULATOR>(before - 2 * differing_bits(vector, weight, inside));
        out[i] = accumulator >= 0;
    }
}

// A byte from an accumulator.
extern "C" void unit_requantise(const int32_t acc[TRIES], const uint16_t m[TRIES], const uint8_t s[TRIES],
                                const uint8_t zero_point[TRIES], const uint8_t low[TRIES], uint8_t out[TRIES]) {
REQUANTISE_LOOP:
    for (uint32_t i = 0; i < TRIES; ++i) {
#pragma HLS PIPELINE II = 1
        out[i] = requantise(acc[i], m[i], s[i], zero_point[i], low[i]);
    }
}

// Bytes: two output channels, SIMD activations; products in pairs, unpacked and summed.
extern "C" void unit_bytes(const uint8_t a[TRIES][SIMD], const int8_t w[TRIES][2][SIMD], int32_t out[TRIES][2]) {
BYTES_LOOP:
    for (uint32_t i = 0; i < TRIES; ++i) {
#pragma HLS PIPELINE II = 1
        int32_t sum_high = 0, sum_low = 0;
    BYTES_LANES:
        for (int lane = 0; lane < SIMD; ++lane) {
#pragma HLS UNROLL
            int16_t high, low;
            multiply_pair(w[i][1][lane], w[i][0][lane], a[i][lane], high, low);
            sum_high += high;
            sum_low += low;
        }
        out[i][0] = sum_low;
        out[i][1] = sum_high;
    }
}

// SIMD bytes at any address: rows of the banks, and the rotation.
extern "C" void unit_read(const uint32_t address[TRIES], uint32_t spread, uint8_t out[TRIES][SIMD]) {
    static uint8_t maps[FEATURE_MAP_ROWS][SIMD];
#pragma HLS ARRAY_PARTITION variable = maps complete dim = 2
#pragma HLS BIND_STORAGE variable = maps type = ram_2p impl = bram
    Spread s;
#pragma HLS ARRAY_PARTITION variable = s.turned complete
#pragma HLS ARRAY_PARTITION variable = s.ahead complete
#pragma HLS ARRAY_PARTITION variable = s.wrapped complete
    spread_of(spread, s);
    maps[spread][0] = 1;
READ_LOOP:
    for (uint32_t i = 0; i < TRIES; ++i) {
#pragma HLS PIPELINE II = 1
        uint8_t lanes[SIMD];
#pragma HLS ARRAY_PARTITION variable = lanes complete
        read_lanes(maps, address[i], s, lanes);
    READ_LOOP_LANES:
        for (int lane = 0; lane < SIMD; ++lane) {
#pragma HLS UNROLL
            out[i][lane] = lanes[lane];
        }
    }
}

// SIMD bytes to any address.
extern "C" void unit_write(const uint32_t address[TRIES], uint32_t spread, const uint8_t given[TRIES][SIMD],
                           const uint8_t count[TRIES], uint8_t *out) {
    static uint8_t maps[FEATURE_MAP_ROWS][SIMD];
#pragma HLS ARRAY_PARTITION variable = maps complete dim = 2
#pragma HLS BIND_STORAGE variable = maps type = ram_2p impl = bram
    Spread s;
#pragma HLS ARRAY_PARTITION variable = s.turned complete
#pragma HLS ARRAY_PARTITION variable = s.ahead complete
#pragma HLS ARRAY_PARTITION variable = s.wrapped complete
    spread_of(spread, s);
WRITE_LOOP:
    for (uint32_t i = 0; i < TRIES; ++i) {
#pragma HLS PIPELINE II = 1
        uint8_t lanes[SIMD];
#pragma HLS ARRAY_PARTITION variable = lanes complete
    WRITE_LOOP_LANES:
        for (int lane = 0; lane < SIMD; ++lane) {
#pragma HLS UNROLL
            lanes[lane] = given[i][lane];
        }
        write_lanes(maps, address[i], s, lanes, count[i] & 31);
    }
    *out = maps[spread & (FEATURE_MAP_ROWS - 1)][0];
}

// A lane's byte, or what stands for it.
extern "C" void unit_select(const int32_t xs[TRIES], const uint8_t flags[TRIES], const uint8_t read[TRIES][SIMD],
                            const uint8_t pads[TRIES][SIMD], uint32_t row_bytes, uint8_t tail_lanes, uint8_t pad_byte,
                            uint8_t kind, uint8_t out[TRIES][SIMD], uint8_t inside_out[TRIES][SIMD]) {
SELECT_LOOP:
    for (uint32_t i = 0; i < TRIES; ++i) {
#pragma HLS PIPELINE II = 1
        const int32_t x = xs[i];
        const bool row_inside = flags[i] & 1, in_skip = flags[i] & 2, last_chunk = flags[i] & 4;
    SELECT_LANES:
        for (int lane = 0; lane < SIMD; ++lane) {
#pragma HLS UNROLL
            const uint32_t byte = static_cast<uint32_t>(kind & 1 ? x : x + lane);
            const bool tail = kind & 2 && last_chunk && lane >= tail_lanes;
            const bool inside = (row_inside && byte < row_bytes && !tail) || in_skip;
            out[i][lane] = inside     ? read[i][lane]
                           : kind & 4 ? static_cast<uint8_t>(0)
                           : kind & 8 ? pads[i][lane]
                                      : pad_byte;
            inside_out[i][lane] = inside;
        }
    }
}

// Counters and pointers.
extern "C" void unit_step(const Compute &c, uint32_t iterations, Position *out) {
    const Widths widths = widths_of(c);
    Position p = start_of(c);
STEP_LOOP:
    for (uint32_t i = 0; i < iterations; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 64
#pragma HLS PIPELINE II = 1
        step(p, c, widths);
    }
    *out = p;
}
