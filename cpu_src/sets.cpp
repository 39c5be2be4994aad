// The instruction sets that this file's compiler has for this kind of processor, the best first.
#include "processor.hpp"
#include "step.hpp"

namespace pcnn_cpu {

#if PCNN_X86
namespace avx512 {
extern const Set SET;
}
namespace avx2 {
extern const Set SET;
}
#endif
#if PCNN_AARCH64
namespace dotprod {
extern const Set SET;
}
#endif
#if PCNN_ARM || PCNN_AARCH64
namespace neon {
extern const Set SET;
}
#endif
namespace baseline {
extern const Set SET;
}

const Set *const SETS[] = {
#if PCNN_X86
    &avx512::SET,   &avx2::SET,
#endif
#if PCNN_AARCH64
    &dotprod::SET,
#endif
#if PCNN_ARM || PCNN_AARCH64
    &neon::SET,
#endif
    &baseline::SET,
};
const int SET_COUNT = sizeof SETS / sizeof *SETS;

}  // namespace pcnn_cpu
