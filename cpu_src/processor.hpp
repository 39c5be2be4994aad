// Which kinds of processor the instruction sets are for. Functions of a set are compiled for it whatever the rest is
// compiled for: GCC's pragma does that.
#pragma once

#if defined(__GNUC__) && !defined(__clang__)
#define PCNN_GCC 1
#else
#define PCNN_GCC 0
#endif

#if PCNN_GCC && defined(__x86_64__)
#define PCNN_X86 1
#else
#define PCNN_X86 0
#endif

#if PCNN_GCC && defined(__arm__) && defined(__ARM_ARCH) && __ARM_ARCH >= 7
#define PCNN_ARM 1
#else
#define PCNN_ARM 0
#endif

#if PCNN_GCC && defined(__aarch64__)
#define PCNN_AARCH64 1
#else
#define PCNN_AARCH64 0
#endif
