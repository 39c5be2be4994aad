// The C entry points that pynq_cnn/backends/kernel/native.py calls: the engine on a memory of this machine. Not
// synthesised.
#include <cstdint>

#include "../engine.hpp"
#include "../platform.hpp"

// `registers` takes the seven output registers in the order of the top function. `cycles` takes PHASES counters for
// each of `instructions` instructions, SECTIONs among them, and is null if there are none.
extern "C" void pynq_cnn_engine_run(uint64_t *memory, uint32_t mem_words, uint32_t entry, uint32_t sections,
                                    uint32_t images, uint32_t registers[7], uint64_t *cycles, uint32_t instructions) {
    for (uint64_t i = 0; i < static_cast<uint64_t>(instructions) * pcnn::PHASES; ++i) cycles[i] = 0;
    pcnn::cycle_counters = instructions ? cycles : nullptr;
    pynq_cnn_engine(memory, mem_words, entry, sections, images, &registers[0], &registers[1], &registers[2],
                    &registers[3], &registers[4], &registers[5], &registers[6]);
    pcnn::cycle_counters = nullptr;
}
