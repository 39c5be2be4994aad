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

// Phases of an instruction that cycles are counted in (docs/contract/instruction-set.md, section 7).
enum Phase { SETUP = 0, LOAD_WEIGHTS = 1, LOAD_INPUT = 2, COMPUTE = 3, STORE = 4, PHASES = 5 };

// Cycles from the start of a loop to its first result: estimates of what Vitis HLS schedules at 100 MHz.
constexpr uint32_t FILL_BURST = 40;    // address phase, interconnect and DDR latency of an AXI read or write
constexpr uint32_t FILL_COMPUTE = 24;  // address multipliers 4, bank read 2, rotate 1, dot product 6, accumulate 1, requantise 8, write 2
constexpr uint32_t FILL_SETUP = 24;    // decoding and the products that bound the loops, once an instruction or tile

#ifdef __SYNTHESIS__
#define PCNN_CYCLES(phase, n)
#else
// The counters of the instruction that is running on this thread: PHASES of them, or null.
extern thread_local uint64_t *cycle_counters;
#define PCNN_CYCLES(phase, n) \
    do { \
        if (::pcnn::cycle_counters) ::pcnn::cycle_counters[phase] += (n); \
    } while (0)
#endif

}  // namespace pcnn
