// The C entry points that pynq_cnn/backends/kernel/native.py calls: the engine on a memory of this machine. Not synthesised.
#include <cstdint>

#include "../engine.hpp"
#include "../platform.hpp"

// `registers` takes the seven output registers in the order of the top function. `cycles` takes PHASES counters for each instruction, or is null.
extern "C" void pynq_cnn_engine_run(const uint64_t *weights, const uint64_t *fm_in, uint64_t *fm_out, uint32_t mem_words, uint32_t program,
                                    uint32_t instructions, uint32_t images, uint32_t registers[7], uint64_t *cycles) {
    if (cycles) {
        for (uint64_t i = 0; i < static_cast<uint64_t>(instructions) * pcnn::PHASES; ++i) cycles[i] = 0;
    }
    pcnn::cycle_counters = cycles;
    pynq_cnn_engine(weights, fm_in, fm_out, mem_words, program, instructions, images, &registers[0], &registers[1], &registers[2], &registers[3],
                    &registers[4], &registers[5], &registers[6]);
    pcnn::cycle_counters = nullptr;
}
