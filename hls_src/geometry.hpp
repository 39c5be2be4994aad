// The engine's sizes. They are told to the compiler through the identity registers (docs/contract/instruction-set.md, section 5):
// change one here, and `pynq_cnn/compiler/hardware.py` needs no change beyond its defaults.
#pragma once

#include <cstdint>

namespace pcnn {

constexpr uint32_t MAGIC = 0x4E4E4350u;  // "PCNN"
constexpr uint32_t ISA_VERSION = 1;

#ifndef PCNN_BUILD
#define PCNN_BUILD 0u
#endif

constexpr int PE = 16;    // output channels a cycle
constexpr int SIMD = 16;  // input bytes a cycle and output channel; also the number of byte banks of the feature-map buffers

// The tests build an engine with small buffers (-DPCNN_LOG2_...), so that little networks already need many tiles and passes.
#ifndef PCNN_LOG2_INPUT_BYTES
#define PCNN_LOG2_INPUT_BYTES 17
#endif
#ifndef PCNN_LOG2_OUTPUT_BYTES
#define PCNN_LOG2_OUTPUT_BYTES 16
#endif
#ifndef PCNN_LOG2_WEIGHT_TILES
#define PCNN_LOG2_WEIGHT_TILES 10
#endif
#ifndef PCNN_LOG2_ACC_ENTRIES
#define PCNN_LOG2_ACC_ENTRIES 9
#endif

constexpr int LOG2_INPUT_BYTES = PCNN_LOG2_INPUT_BYTES;    // 128 KiB: 16 banks of 8 KiB, 32 BRAM36
constexpr int LOG2_OUTPUT_BYTES = PCNN_LOG2_OUTPUT_BYTES;  //  64 KiB: 16 banks of 4 KiB, 16 BRAM36
constexpr int LOG2_WEIGHT_TILES = PCNN_LOG2_WEIGHT_TILES;  // 256 KiB: 32 banks of 1024 x 64 bits, 64 BRAM36
constexpr int LOG2_ACC_ENTRIES = PCNN_LOG2_ACC_ENTRIES;    //  32 KiB: 16 banks of 512 x 32 bits, 8 BRAM36
constexpr int PARAM_GROUPS = 64;       //   8 KiB: 16 banks of 64 x 64 bits, in LUT RAM
constexpr int PAD_VECTORS = 16;        //  256 bytes, in LUT RAM

constexpr uint32_t INPUT_BYTES = 1u << LOG2_INPUT_BYTES;
constexpr uint32_t OUTPUT_BYTES = 1u << LOG2_OUTPUT_BYTES;
constexpr uint32_t WEIGHT_TILES = 1u << LOG2_WEIGHT_TILES;
constexpr uint32_t ACC_ENTRIES = 1u << LOG2_ACC_ENTRIES;

constexpr int WORD_BYTES = 8;                        // width of an AXI port
constexpr int TILE_WORDS = PE * SIMD / WORD_BYTES;   // words of a weight tile
constexpr int ENTRY_WORDS = PE * 4 / WORD_BYTES;     // words of PE int32 results
constexpr uint32_t TILE_SLACK = 32;                  // bytes a tile leaves free: one unaligned vector at either end
constexpr int MAX_KERNEL = 11;

static_assert(SIMD == 16 && PE == 16, "the bank addressing and the packing of parameters are written for 16");

}  // namespace pcnn
