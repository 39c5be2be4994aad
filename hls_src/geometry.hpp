// The engine's sizes. They are told to the compiler through the identity registers (docs/contract/instruction-set.md,
// section 7): change one here, and nothing in `pynq_cnn/compiler/` needs a change beyond its defaults.
#pragma once

#include <cstdint>

namespace pcnn {

constexpr uint32_t MAGIC = 0x4E4E4350u;  // "PCNN"
constexpr uint32_t ISA_VERSION = 2;

#ifndef PCNN_BUILD
#define PCNN_BUILD 0u
#endif

// The tests build other engines (-DPCNN_...): small memories make little networks need many sections, tiles and passes.
#ifndef PCNN_PE
#define PCNN_PE 16
#endif
#ifndef PCNN_SIMD
#define PCNN_SIMD 16
#endif
#ifndef PCNN_LOG2_FEATURE_MAP_BYTES
#define PCNN_LOG2_FEATURE_MAP_BYTES 18
#endif
#ifndef PCNN_LOG2_WEIGHT_TILES
#define PCNN_LOG2_WEIGHT_TILES 10
#endif
#ifndef PCNN_LOG2_ENTRIES
#define PCNN_LOG2_ENTRIES 12
#endif
#ifndef PCNN_LOG2_RESULT_ENTRIES
#define PCNN_LOG2_RESULT_ENTRIES 6
#endif
#ifndef PCNN_PARAM_GROUPS
#define PCNN_PARAM_GROUPS 64
#endif

constexpr int PE = PCNN_PE;      // output channels a cycle
constexpr int SIMD = PCNN_SIMD;  // input bytes a cycle and output channel; also the banks of the feature maps
constexpr int BIT_PE = 2 * PE;   // output channels a cycle of 8 * SIMD bits: both ports of the weight memory

constexpr int LOG2_FEATURE_MAP_BYTES = PCNN_LOG2_FEATURE_MAP_BYTES;  // 256 KiB: 16 banks of 16 KiB, 64 BRAM36
constexpr int LOG2_WEIGHT_TILES = PCNN_LOG2_WEIGHT_TILES;            // 256 KiB: 32 banks of 1024 x 64 bits, 64 BRAM36
constexpr int LOG2_ENTRIES = PCNN_LOG2_ENTRIES;                      //  16 KiB: 2 banks of 2048 x 32 bits, 4 BRAM36
constexpr int LOG2_RESULT_ENTRIES = PCNN_LOG2_RESULT_ENTRIES;        //   4 KiB: 16 banks of 64 x 32 bits, in LUT RAM
constexpr int PARAM_GROUPS = PCNN_PARAM_GROUPS;                      //  10 KiB: 32 banks of 32 x 80 bits, in LUT RAM
constexpr int PAD_VECTORS = 64;                                      //   1 KiB: 16 banks of 64 bytes, in LUT RAM

constexpr uint32_t FEATURE_MAP_BYTES = 1u << LOG2_FEATURE_MAP_BYTES;
constexpr int FEATURE_MAP_ROWS = FEATURE_MAP_BYTES / SIMD;
constexpr uint32_t WEIGHT_TILES = 1u << LOG2_WEIGHT_TILES;
constexpr uint32_t ENTRIES = 1u << LOG2_ENTRIES;
constexpr uint32_t RESULT_ENTRIES = 1u << LOG2_RESULT_ENTRIES;

constexpr int WORD_BYTES = 8;                       // width of the AXI port
constexpr int TILE_WORDS = PE * SIMD / WORD_BYTES;  // words of a weight tile
constexpr int ROW_WORDS = SIMD / WORD_BYTES;        // words of a tile's row, and of a pad vector
constexpr int RESULT_WORDS = PE * 4 / WORD_BYTES;   // words of PE int32 results
constexpr int PARAM_WORDS = 2 * PE;                 // words of a group's parameters

static_assert((SIMD & (SIMD - 1)) == 0 && (PE & (PE - 1)) == 0, "banks and channels are addressed by bits");
static_assert(SIMD >= WORD_BYTES && PE >= 8, "a word is at most one vector, 8 bits are a byte");
static_assert(PE <= SIMD, "a group's bytes are written at once, and the skip's are one vector");

}  // namespace pcnn
