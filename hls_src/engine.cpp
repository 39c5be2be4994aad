#include "engine.hpp"

#include "bursts.hpp"
#include "compute.hpp"

namespace pcnn {

#ifndef __SYNTHESIS__
thread_local uint64_t *cycle_counters = nullptr;
#endif

constexpr int CODE = 64;  // instructions of a body on the chip

// The only multiplier outside the data path: 32 x 16 bits, two DSPs. Not inlined, so that all that call it share it.
static uint64_t times(uint32_t value, uint16_t number) {
#pragma HLS INLINE off
    return static_cast<uint64_t>(value) * number;
}

// The images of a section's turn: [first, first + count) of the batch.
struct Turn {
    uint16_t first, count;
};

static Status run_move(const Move &m, bool load, const Turn &turn, uint64_t *memory, uint32_t mem_words,
                       uint8_t maps[FEATURE_MAP_ROWS][SIMD], uint64_t weights[WEIGHT_TILES][TILE_WORDS],
                       uint64_t parameters[PARAM_GROUPS / 2][2][PE], uint16_t skips[PARAM_GROUPS / 2][2][PE],
                       uint32_t entries[ENTRIES / 2][2], uint8_t pads[PAD_VECTORS][SIMD],
                       const int32_t results[RESULT_ENTRIES][PE]) {
#pragma HLS INLINE off
    const Status fault = check(m);
    if (fault != OK) return fault;
    uint64_t image_address = m.address;
    if (m.per_image) image_address += times(m.image_stride, turn.first);
    uint64_t words = m.words;
    if (m.merged) words = times(m.words, turn.count);
    if (words >> 32) return BAD_FIELD;
    const uint32_t count = static_cast<uint32_t>(words);
    const uint32_t images = m.per_image && !m.merged ? turn.count : 1;
    uint32_t image_place = m.place;
MOVE_IMAGES:
    for (uint32_t image = 0; image < images; ++image) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 64
        uint64_t address = image_address;
        uint32_t place = image_place;
    MOVE_BURSTS:
        for (uint32_t burst = 0; burst < m.bursts; ++burst) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 64
            if (!inside(address, count, mem_words)) return OUTSIDE_MEMORY;
            if (load && m.memory == FEATURE_MAPS) {
                load_maps(memory, address, count, place, m.run, m.run_step, maps);
            } else if (load && m.memory == WEIGHTS) {
                load_weights(memory, address, count, place, m.run, weights);
            } else if (load && m.memory == PARAMETERS) {
                load_parameters(memory, address, count, place, parameters, skips);
            } else if (load && m.memory == SPARSE_ENTRIES) {
                load_entries(memory, address, count, place, entries);
            } else if (load && m.memory == PADS) {
                load_pads(memory, address, count, place, pads);
            } else if (!load && m.memory == FEATURE_MAPS) {
                store_maps(memory, address, count, place, m.run, m.run_step, maps);
            } else if (!load && m.memory == RESULTS) {
                store_results(memory, address, count, place, results);
            } else {
                return BAD_FIELD;
            }
            address += m.burst_stride;
            place += m.burst_step;
        }
        image_address += m.image_stride;
        image_place += m.image_step;
    }
    return OK;
}

static Status run_compute(Compute c, const Turn &turn, uint8_t maps[FEATURE_MAP_ROWS][SIMD],
                          const uint64_t weights[WEIGHT_TILES][TILE_WORDS],
                          const uint64_t parameters[PARAM_GROUPS / 2][2][PE],
                          const uint16_t skips[PARAM_GROUPS / 2][2][PE], const uint32_t entries[ENTRIES / 2][2],
                          const uint8_t pads[PAD_VECTORS][SIMD], int32_t results[RESULT_ENTRIES][PE]) {
#pragma HLS INLINE off
    const Status fault = check(c);
    if (fault != OK) return fault;
    uint64_t iterations = c.iterations;
    if (c.unit == SPARSE) {
        // All images of the turn at once, one a lane; the entries take the place of the chunks.
        if (turn.count > PE || c.taps > ENTRIES) return BAD_FIELD;
        c.chunks = static_cast<uint16_t>(c.taps);
        c.groups = c.kernel_rows = c.kernel_cols = c.pool_rows = c.pool_cols = 1;
    } else {
        iterations = times(c.iterations, turn.count);
    }
    if (iterations >> 32) return BAD_FIELD;
    compute_loop(c, static_cast<uint32_t>(iterations), turn.count, maps, weights, parameters, skips, entries, pads,
                 results);
    return OK;
}

}  // namespace pcnn

extern "C" void pynq_cnn_engine(uint64_t *memory, uint32_t mem_words, uint32_t entry, uint32_t sections,
                                uint32_t images, uint32_t *status, uint32_t *failed_at, uint32_t *magic,
                                uint32_t *isa_version, uint32_t *geometry, uint32_t *buffers, uint32_t *build) {
    // Bursts of 16 words, 16 of them under way, as Vitis HLS takes by itself: the HP ports of the Zynq-7000 (AXI3) have
    // no longer ones, and the adapter has a FIFO for all that is under way, in block RAM.
#pragma HLS INTERFACE m_axi port = memory offset = slave bundle = gmem depth = 262144 latency = 64
#pragma HLS INTERFACE s_axilite port = memory bundle = control
#pragma HLS INTERFACE s_axilite port = mem_words bundle = control
#pragma HLS INTERFACE s_axilite port = entry bundle = control
#pragma HLS INTERFACE s_axilite port = sections bundle = control
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
    PCNN_ON_CHIP uint8_t maps[FEATURE_MAP_ROWS][SIMD];
    PCNN_ON_CHIP uint64_t weights[WEIGHT_TILES][TILE_WORDS];
    PCNN_ON_CHIP uint64_t parameters[PARAM_GROUPS / 2][2][PE];
    PCNN_ON_CHIP uint16_t skips[PARAM_GROUPS / 2][2][PE];
    PCNN_ON_CHIP uint32_t entries[ENTRIES / 2][2];
    PCNN_ON_CHIP uint8_t pads[PAD_VECTORS][SIMD];
    PCNN_ON_CHIP int32_t results[RESULT_ENTRIES][PE];
    PCNN_ON_CHIP uint64_t code[CODE][INSTRUCTION_WORDS];
#pragma HLS ARRAY_PARTITION variable = maps complete dim = 2
#pragma HLS ARRAY_PARTITION variable = weights complete dim = 2
#pragma HLS ARRAY_PARTITION variable = parameters complete dim = 2
#pragma HLS ARRAY_PARTITION variable = parameters complete dim = 3
#pragma HLS ARRAY_PARTITION variable = skips complete dim = 2
#pragma HLS ARRAY_PARTITION variable = skips complete dim = 3
#pragma HLS ARRAY_PARTITION variable = entries complete dim = 2
#pragma HLS ARRAY_PARTITION variable = pads complete dim = 2
#pragma HLS ARRAY_PARTITION variable = results complete dim = 2
    // One port reads while the other writes; the weights are read by both. The small memories are in LUT RAM, which
    // leaves the block RAM to the large (docs/lab/engine.md).
#pragma HLS BIND_STORAGE variable = maps type = ram_2p impl = bram
#pragma HLS BIND_STORAGE variable = weights type = ram_t2p impl = bram
#pragma HLS BIND_STORAGE variable = entries type = ram_2p impl = bram
#pragma HLS BIND_STORAGE variable = code type = ram_2p impl = bram
#pragma HLS BIND_STORAGE variable = parameters type = ram_2p impl = lutram
#pragma HLS BIND_STORAGE variable = skips type = ram_2p impl = lutram
#pragma HLS BIND_STORAGE variable = pads type = ram_2p impl = lutram
#pragma HLS BIND_STORAGE variable = results type = ram_2p impl = lutram

    *magic = MAGIC;
    *isa_version = ISA_VERSION;
    *geometry = PE | SIMD << 8 | PARAM_GROUPS << 16;
    *buffers = LOG2_FEATURE_MAP_BYTES | LOG2_WEIGHT_TILES << 8 | LOG2_ENTRIES << 16 | LOG2_RESULT_ENTRIES << 24;
    *build = PCNN_BUILD;

    Status result = OK;
    uint32_t at = 0;  // number of the instruction, from `entry` on
    uint32_t failed = 0;
SECTIONS:
    for (uint32_t section = 0; section < sections && result == OK; ++section) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 32
        const uint64_t head = entry + static_cast<uint64_t>(at) * INSTRUCTION_WORDS;
        failed = at;
        if (!inside(head, INSTRUCTION_WORDS, mem_words)) {
            result = OUTSIDE_MEMORY;
            break;
        }
#ifndef __SYNTHESIS__
        uint64_t *const counters = cycle_counters;  // those of the SECTION itself
#endif
        const uint64_t header = memory[head];  // all that a SECTION says
        PCNN_CYCLES(SETUP, FILL_BURST + 1 + INSTRUCTION);
        const Section s = decode_section(header);
        if (field(header, 0, 8) != OPCODE_SECTION) result = UNKNOWN_OPCODE;
        if (result == OK && (s.body == 0 || s.group == 0 || images >> 16)) result = BAD_FIELD;
        const bool kept = s.body <= CODE;  // the body stays on the chip from turn to turn
        uint32_t first = 0;
    TURNS:
        while (first < images && result == OK) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 64
            Turn turn;
            turn.first = static_cast<uint16_t>(first);
            turn.count = static_cast<uint16_t>(images - first < s.group ? images - first : s.group);
        PIECES:
            for (uint32_t begin = 0; begin < s.body && result == OK; begin += CODE) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 4
                const uint32_t left = s.body - begin;
                const uint32_t instructions = left < static_cast<uint32_t>(CODE) ? left : static_cast<uint32_t>(CODE);
                if (!kept || first == 0) {
                    const uint64_t address = head + static_cast<uint64_t>(begin + 1) * INSTRUCTION_WORDS;
                    const uint32_t words = instructions * INSTRUCTION_WORDS;
                    if (!inside(address, words, mem_words)) {
                        result = OUTSIDE_MEMORY;
                        break;
                    }
#ifndef __SYNTHESIS__
                    cycle_counters = counters;
#endif
                    PCNN_CYCLES(SETUP, FILL_BURST);
                FETCH_BODY:
                    for (uint32_t w = 0; w < words; ++w) {
#pragma HLS LOOP_TRIPCOUNT min = 16 max = 1024
#pragma HLS PIPELINE II = 1
                        code[w / INSTRUCTION_WORDS][w % INSTRUCTION_WORDS] = memory[address + w];
                        PCNN_CYCLES(SETUP, 1);
                    }
                }
            INSTRUCTIONS:
                for (uint32_t i = 0; i < instructions && result == OK; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 64
                    uint64_t words[INSTRUCTION_WORDS];
#pragma HLS ARRAY_PARTITION variable = words complete
                DECODE:
                    for (int w = 0; w < INSTRUCTION_WORDS; ++w) {
#pragma HLS PIPELINE II = 1
                        words[w] = code[i][w];
                    }
                    failed = at + 1 + begin + i;
#ifndef __SYNTHESIS__
                    cycle_counters = counters ? counters + static_cast<uint64_t>(1 + begin + i) * PHASES : nullptr;
#endif
                    PCNN_CYCLES(SETUP, INSTRUCTION);
                    const uint32_t opcode = field(words[0], 0, 8);
                    if (opcode == OPCODE_LOAD || opcode == OPCODE_STORE) {
                        result = run_move(decode_move(words), opcode == OPCODE_LOAD, turn, memory, mem_words, maps,
                                          weights, parameters, skips, entries, pads, results);
                    } else if (opcode == OPCODE_COMPUTE) {
                        result = run_compute(decode_compute(words), turn, maps, weights, parameters, skips, entries,
                                             pads, results);
                    } else {
                        result = UNKNOWN_OPCODE;
                    }
                }
            }
            first += turn.count;
        }
#ifndef __SYNTHESIS__
        cycle_counters = counters ? counters + static_cast<uint64_t>(1 + s.body) * PHASES : nullptr;
#endif
        at += 1u + s.body;
    }
    *status = result;
    *failed_at = failed;
}
