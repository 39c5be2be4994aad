// The C entry points that pynq_cnn/backends/cpu/native.py calls.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <new>

#include "network.hpp"
#include "plan.hpp"
#include "step.hpp"

using namespace pcnn_cpu;

namespace {

const Set *find_set(const char *name) {
    for (int i = 0; i < SET_COUNT; ++i)
        if (SETS[i]->supported() && (!*name || !std::strcmp(name, SETS[i]->name))) return SETS[i];
    return nullptr;
}

}  // namespace

extern "C" {

// The name of the instruction set at `index` among those that this processor has, the best first; null behind the last.
const char *pynq_cnn_cpu_set(int index) {
    for (int i = 0; i < SET_COUNT; ++i)
        if (SETS[i]->supported() && index-- == 0) return SETS[i]->name;
    return nullptr;
}

// A network to run, null and an `error` of at most `room` bytes if it cannot be. `set` is a name, empty for the best.
void *pynq_cnn_cpu_open(const int32_t *plan, int64_t words, const char *set, int threads, int batch, int eager,
                        char *error, int room) {
    try {
        const Set *const found = find_set(set);
        if (!found) throw std::runtime_error("this processor does not have the instruction set");
        return new Network(read_plan(plan, words), *found, threads, batch, eager != 0);
    } catch (const std::bad_alloc &) {
        std::snprintf(error, room, "there is no memory left for it");
        return nullptr;
    } catch (const std::exception &failed) {
        std::snprintf(error, room, "%s", failed.what());
        return nullptr;
    }
}

// 0, or 1 if there is no memory. One call at a time for a network.
int pynq_cnn_cpu_run(void *network, const uint8_t *images, int32_t *results, int64_t count) {
    try {
        static_cast<Network *>(network)->run(images, results, count);
        return 0;
    } catch (const std::exception &) {
        return 1;
    }
}

void pynq_cnn_cpu_close(void *network) { delete static_cast<Network *>(network); }
}
