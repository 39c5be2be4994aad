// The top function: one run of a Program over a batch of images (docs/contract/instruction-set.md).
#pragma once

#include <cstdint>

// The three ports see one memory: each gets the start of the Program, whose words `mem_words` counts.
extern "C" void pynq_cnn_engine(const uint64_t *weights, const uint64_t *fm_in, uint64_t *fm_out, uint32_t mem_words, uint32_t program, uint32_t instructions,
                                uint32_t images, uint32_t *status, uint32_t *failed_at, uint32_t *magic, uint32_t *isa_version, uint32_t *geometry,
                                uint32_t *buffers, uint32_t *build);
