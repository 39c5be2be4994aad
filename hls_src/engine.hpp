// The top function: one run of a Program over a batch of images (docs/contract/instruction-set.md).
#pragma once

#include <cstdint>

// `memory` is the start of the Program, whose words `mem_words` counts. No argument has a name that Verilog,
// SystemVerilog or VHDL reserves: tools rename such ports, and a driver then looks for a register that is not there.
extern "C" void pynq_cnn_engine(uint64_t *memory, uint32_t mem_words, uint32_t entry, uint32_t sections,
                                uint32_t images, uint32_t *status, uint32_t *failed_at, uint32_t *magic,
                                uint32_t *isa_version, uint32_t *geometry, uint32_t *buffers, uint32_t *build);
