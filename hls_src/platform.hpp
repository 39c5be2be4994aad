// What differs between synthesis and the CPU: where on-chip arrays live, and the cycle counters.
#pragma once

#include <cstdint>

// On-chip memories are static arrays. On the CPU each thread has its own, so that two threads may each run an engine.
#ifdef __SYNTHESIS__
#define PCNN_ON_CHIP static
#else
#define PCNN_ON_CHIP static thread_local
#endif

namespace pcnn {

// Phases of an instruction that cycles are counted in (docs/contract/instruction-set.md, section 8).
enum Phase { SETUP = 0, LOAD_WEIGHTS = 1, LOAD_INPUT = 2, COMPUTING = 3, STORING = 4, PHASES = 5 };

// Cycles from the start of a loop to its first result, on the careful side of what Vitis HLS schedules at 100 MHz.
constexpr uint32_t FILL_BURST = 70;  // address phase, interconnect, DDR latency, of a write also the response: 50 to 70
// Entry 3, addresses 4, bank read 2, rotate 3, dot product 8, accumulate 2, requantise 12, write 4; and some.
constexpr uint32_t FILL_COMPUTE = 40;
constexpr uint32_t INSTRUCTION = 40;  // decoding, and two or three products with the image's number

#ifdef __SYNTHESIS__
#define PCNN_CYCLES(phase, n)
#else
// The counters of the instruction that is running on this thread: PHASES of them, or null.
extern thread_local uint64_t *cycle_counters;
#define PCNN_CYCLES(phase, n)                                             \
    do {                                                                  \
        if (::pcnn::cycle_counters) ::pcnn::cycle_counters[phase] += (n); \
    } while (0)
#endif

}  // namespace pcnn
