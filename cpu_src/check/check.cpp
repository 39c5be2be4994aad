// Runs networks from a file on every instruction set of the processor, and compares: for
// processors that this machine only emulates, and for sanitizers.
// check FILE   of cases, each: how many words the plan has, how many images there are, bytes of one, outputs; then
// plan, images, results. tests/cpu_cases.py writes such a file.
#include <cstdio>
#include <cstring>
#include <exception>
#include <vector>

#include "../network.hpp"

using namespace pcnn_cpu;

namespace {

template <class T>
std::vector<T> read(std::FILE *file, size_t count) {
    std::vector<T> values(count);
    if (std::fread(values.data(), sizeof(T), count, file) != count) throw std::runtime_error("the file ends early");
    return values;
}

}  // namespace

int main(int argc, char **argv) {
    std::FILE *const file = argc == 2 ? std::fopen(argv[1], "rb") : nullptr;
    if (!file) {
        std::fprintf(stderr, "usage: check FILE\n");
        return 2;
    }
    int cases = 0, wrong = 0;
    try {
        int32_t head[4];
        for (; std::fread(head, sizeof head, 1, file) == 1; ++cases) {
            const auto words = read<int32_t>(file, head[0]);
            const auto images = read<uint8_t>(file, static_cast<size_t>(head[1]) * head[2]);
            const auto expected = read<int32_t>(file, static_cast<size_t>(head[1]) * head[3]);
            for (int i = 0; i < SET_COUNT; ++i) {
                if (!SETS[i]->supported()) continue;
                for (const int threads : {1, 2, 9}) {  // of so many there are more than images
                    std::vector<int32_t> results(expected.size());
                    Network(read_plan(words.data(), head[0]), *SETS[i], threads, 5, true)
                        .run(images.data(), results.data(), head[1]);
                    if (results == expected) continue;
                    ++wrong;
                    std::printf("case %d differs on %s with %d threads\n", cases, SETS[i]->name, threads);
                }
            }
        }
    } catch (const std::exception &error) {
        std::fprintf(stderr, "case %d: %s\n", cases, error.what());
        return 2;
    }
    std::fclose(file);
    std::printf("%d cases, %d wrong, on", cases, wrong);
    for (int i = 0; i < SET_COUNT; ++i)
        if (SETS[i]->supported()) std::printf(" %s", SETS[i]->name);
    std::printf("\n");
    return wrong ? 1 : cases ? 0 : 2;
}
