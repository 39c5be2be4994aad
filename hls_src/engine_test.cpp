// Test bench: the arithmetic units against every value or many random ones, and the engine against a naive golden loop, on Programs packed here by hand
// (so neither the compiler nor the reference of pynq_cnn has a part in it). Also the C simulation of Vitis HLS. Exit status 0 if all is equal.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "arithmetic.hpp"
#include "banks.hpp"
#include "engine.hpp"
#include "instruction.hpp"

using namespace pcnn;

static int failures = 0;

static void expect(bool ok, const char *what) {
    if (!ok) {
        ++failures;
        std::printf("FAILED: %s\n", what);
    }
}

static std::mt19937 rng(1);
static int uniform(int low, int high) { return std::uniform_int_distribution<int>(low, high)(rng); }

static void test_multiply_pair() {
    bool ok = true;
    for (int high = -127; high <= 127; ++high)
        for (int low = -127; low <= 127; ++low)
            for (int a = 0; a <= 255; ++a) {
                int32_t product_high, product_low;
                multiply_pair(static_cast<int8_t>(high), static_cast<int8_t>(low), static_cast<uint8_t>(a), product_high, product_low);
                ok = ok && product_high == high * a && product_low == low * a;
            }
    expect(ok, "multiply_pair, all values");
}

// floor(x / 2^s) written with division, not with the shift under test.
static int64_t floor_shift(int64_t x, int s) {
    const int64_t d = static_cast<int64_t>(1) << s;
    const int64_t q = x / d;
    return x % d < 0 ? q - 1 : q;
}

static int golden_requantise(int64_t acc, int64_t m, int s) {
    const int64_t q = floor_shift(acc * m + (static_cast<int64_t>(1) << (s - 1)), s);
    return static_cast<int>(std::min<int64_t>(std::max<int64_t>(q, 0), 255));
}

static void test_requantise() {
    bool ok = true;
    const int32_t edges[] = {INT32_MIN, INT32_MIN + 1, -1, 0, 1, INT32_MAX - 1, INT32_MAX};
    for (int s = 1; s <= 47; ++s) {
        for (int32_t acc : edges)
            for (int m : {0, 1, 2, 32768, 65535}) ok = ok && requantise(acc, static_cast<uint16_t>(m), static_cast<uint8_t>(s)) == golden_requantise(acc, m, s);
        for (int i = 0; i < 2000; ++i) {
            const int32_t acc = static_cast<int32_t>(rng()) >> uniform(0, 24);
            const int m = uniform(0, 65535);
            ok = ok && requantise(acc, static_cast<uint16_t>(m), static_cast<uint8_t>(s)) == golden_requantise(acc, m, s);
        }
    }
    expect(ok, "requantise");
}

static void test_banks() {
    constexpr int ROWS = 8;
    static uint8_t banks[ROWS][SIMD];
    uint8_t flat[ROWS * SIMD] = {};
    bool ok = true;
    for (int i = 0; i < 5000; ++i) {
        uint8_t lanes[SIMD];
        const uint32_t address = rng();  // wraps, as the ring does
        if (uniform(0, 1)) {
            const uint32_t count = uniform(1, SIMD);
            for (uint32_t l = 0; l < SIMD; ++l) lanes[l] = static_cast<uint8_t>(rng());
            write_lanes<ROWS>(banks, address, lanes, count);
            for (uint32_t l = 0; l < count; ++l) flat[(address + l) % sizeof flat] = lanes[l];
        } else {
            const uint64_t word = static_cast<uint64_t>(rng()) << 32 | rng();
            write_word<ROWS>(banks, address / 8, word);
            std::memcpy(&flat[address / 8 * 8 % sizeof flat], &word, 8);
        }
        const uint32_t from = rng();
        read_lanes<ROWS>(banks, from, lanes);
        for (uint32_t l = 0; l < SIMD; ++l) ok = ok && lanes[l] == flat[(from + l) % sizeof flat];
        uint64_t word;
        std::memcpy(&word, &flat[from / 8 * 8 % sizeof flat], 8);
        ok = ok && read_word<ROWS>(banks, from / 8) == word;
    }
    expect(ok, "banks against a flat memory");
}

struct Layer {
    int in_h, in_w, in_c, out_c, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, pool, pool_stride;
    bool int32, pad_vector;
    int tile_images, tile_rows, groups_per_pass;  // 0: as large as the layer
};

static int ceil_div(int a, int b) { return (a + b - 1) / b; }

static void test_layer(const Layer &l, int images, const char *name) {
    const int conv_h = (l.in_h + 2 * l.pad_h - l.kernel_h) / l.stride_h + 1, conv_w = (l.in_w + 2 * l.pad_w - l.kernel_w) / l.stride_w + 1;
    const int out_h = (conv_h - l.pool) / l.pool_stride + 1, out_w = (conv_w - l.pool) / l.pool_stride + 1;
    const int groups = ceil_div(l.out_c, PE), chunks = ceil_div(l.kernel_w * l.in_c, SIMD);
    std::vector<int8_t> weight(l.out_c * l.kernel_h * l.kernel_w * l.in_c);
    std::vector<int32_t> bias(l.out_c);
    std::vector<int> m(l.out_c), s(l.out_c);
    std::vector<uint8_t> pad(l.in_c), input(images * l.in_h * l.in_w * l.in_c);
    for (auto &w : weight) w = static_cast<int8_t>(uniform(-127, 127));
    for (auto &x : input) x = static_cast<uint8_t>(uniform(0, 255));
    for (auto &p : pad) p = l.pad_vector ? static_cast<uint8_t>(uniform(0, 255)) : 0;
    for (int o = 0; o < l.out_c; ++o) bias[o] = uniform(-100000, 100000), m[o] = uniform(100, 4000), s[o] = uniform(18, 24);

    // The memory: one instruction, parameters, tiles, pad vectors, input, output, and a guard that must stay as it is.
    std::vector<uint64_t> memory(INSTRUCTION_WORDS);
    const uint32_t param_addr = memory.size();
    for (int o = 0; o < groups * PE; ++o)
        memory.push_back(o < l.out_c ? static_cast<uint64_t>(s[o]) << 48 | static_cast<uint64_t>(m[o]) << 32 | static_cast<uint32_t>(bias[o])
                                     : static_cast<uint64_t>(1) << 48);
    const uint32_t weight_addr = memory.size();
    for (int g = 0; g < groups; ++g)
        for (int i = 0; i < l.kernel_h; ++i)
            for (int k = 0; k < chunks; ++k) {
                uint8_t tile[PE * SIMD] = {};
                for (int pe = 0; pe < PE; ++pe)
                    for (int lane = 0; lane < SIMD; ++lane) {
                        const int o = g * PE + pe, position = k * SIMD + lane;
                        if (o < l.out_c && position < l.kernel_w * l.in_c)
                            tile[pe * SIMD + lane] = static_cast<uint8_t>(weight[(o * l.kernel_h + i) * l.kernel_w * l.in_c + position]);
                    }
                for (int w = 0; w < TILE_WORDS; ++w) {
                    uint64_t word;
                    std::memcpy(&word, tile + 8 * w, 8);
                    memory.push_back(word);
                }
            }
    const uint32_t pad_addr = memory.size();
    for (int k = 0; l.pad_vector && k < chunks * SIMD / WORD_BYTES; ++k) {
        uint64_t word = 0;
        for (int b = 0; b < WORD_BYTES; ++b)
            if (k * WORD_BYTES + b < l.kernel_w * l.in_c) word |= static_cast<uint64_t>(pad[(k * WORD_BYTES + b) % l.in_c]) << (8 * b);
        memory.push_back(word);
    }
    const uint32_t in_stride = ceil_div(l.in_h * l.in_w * l.in_c, 8);
    const uint32_t out_stride = l.int32 ? out_h * out_w * groups * ENTRY_WORDS : ceil_div(out_h * out_w * l.out_c, 8);
    const uint32_t in_addr = memory.size();
    memory.resize(memory.size() + images * in_stride, 0xEEEEEEEEEEEEEEEE);
    for (int n = 0; n < images; ++n)
        std::memcpy(reinterpret_cast<uint8_t *>(&memory[in_addr + n * in_stride]), &input[n * l.in_h * l.in_w * l.in_c], l.in_h * l.in_w * l.in_c);
    const uint32_t out_addr = memory.size();
    memory.resize(memory.size() + images * out_stride, 0xDDDDDDDDDDDDDDDD);
    const uint32_t mem_words = memory.size();
    memory.resize(memory.size() + 64, 0xCCCCCCCCCCCCCCCC);

    const uint64_t gpp = l.groups_per_pass ? l.groups_per_pass : groups, rows = l.tile_rows ? l.tile_rows : out_h, tile_images = l.tile_images ? l.tile_images : 1;
    const uint64_t flags = (l.int32 ? FLAG_OUTPUT_INT32 : 0) | (l.pad_vector ? FLAG_PAD_VECTOR : 0);
    auto bytes = [](std::initializer_list<int> values) {
        uint64_t word = 0;
        int shift = 0;
        for (int v : values) word |= static_cast<uint64_t>(v) << shift, shift += 8;
        return word;
    };
    memory[0] = bytes({OPCODE_CONV, static_cast<int>(flags), l.kernel_h, l.kernel_w, l.stride_h, l.stride_w, l.pad_h, l.pad_w});
    memory[1] = static_cast<uint64_t>(l.in_h) | static_cast<uint64_t>(l.in_w) << 16 | static_cast<uint64_t>(l.in_c) << 32 | static_cast<uint64_t>(l.out_c) << 48;
    memory[2] = static_cast<uint64_t>(out_h) | static_cast<uint64_t>(out_w) << 16 | static_cast<uint64_t>(l.pool) << 32 | static_cast<uint64_t>(l.pool_stride) << 40 | gpp << 48;
    memory[3] = tile_images | rows << 16 | static_cast<uint64_t>(chunks) << 32;
    memory[4] = in_addr | static_cast<uint64_t>(out_addr) << 32;
    memory[5] = weight_addr | static_cast<uint64_t>(param_addr) << 32;
    memory[6] = pad_addr | static_cast<uint64_t>(in_stride) << 32;
    memory[7] = out_stride;

    uint32_t status, failed_at, magic, isa_version, geometry, buffers, build;
    pynq_cnn_engine(memory.data(), memory.data(), memory.data(), mem_words, 0, 1, images, &status, &failed_at, &magic, &isa_version, &geometry, &buffers, &build);
    expect(status == OK, name);

    bool ok = true;
    for (size_t i = mem_words; i < memory.size(); ++i) ok = ok && memory[i] == 0xCCCCCCCCCCCCCCCC;
    for (int n = 0; n < images; ++n)
        for (int y = 0; y < out_h; ++y)
            for (int x = 0; x < out_w; ++x)
                for (int o = 0; o < l.out_c; ++o) {
                    int best = 0;
                    int64_t acc = 0;
                    for (int dy = 0; dy < l.pool; ++dy)
                        for (int dx = 0; dx < l.pool; ++dx) {
                            acc = bias[o];
                            for (int i = 0; i < l.kernel_h; ++i)
                                for (int j = 0; j < l.kernel_w; ++j)
                                    for (int c = 0; c < l.in_c; ++c) {
                                        const int row = (y * l.pool_stride + dy) * l.stride_h - l.pad_h + i, column = (x * l.pool_stride + dx) * l.stride_w - l.pad_w + j;
                                        const bool in = row >= 0 && row < l.in_h && column >= 0 && column < l.in_w;
                                        const int a = in ? input[((n * l.in_h + row) * l.in_w + column) * l.in_c + c] : pad[c];
                                        acc += a * weight[((o * l.kernel_h + i) * l.kernel_w + j) * l.in_c + c];
                                    }
                            best = std::max(best, golden_requantise(acc, m[o], s[o]));
                        }
                    const uint8_t *out = reinterpret_cast<const uint8_t *>(&memory[out_addr + n * out_stride]);
                    if (l.int32) {
                        int32_t got;
                        std::memcpy(&got, out + 4 * ((y * out_w + x) * groups * PE + o), 4);
                        ok = ok && got == acc;
                    } else {
                        ok = ok && out[(y * out_w + x) * l.out_c + o] == best;
                    }
                }
    expect(ok, name);
}

static void test_faults() {
    uint32_t r[7];
    std::vector<uint64_t> memory(8, 0);
    pynq_cnn_engine(memory.data(), memory.data(), memory.data(), 8, 0, 1, 1, &r[0], &r[1], &r[2], &r[3], &r[4], &r[5], &r[6]);
    expect(r[0] == UNKNOWN_OPCODE && r[2] == MAGIC && r[3] == ISA_VERSION, "an unknown opcode");
    pynq_cnn_engine(memory.data(), memory.data(), memory.data(), 7, 0, 1, 1, &r[0], &r[1], &r[2], &r[3], &r[4], &r[5], &r[6]);
    expect(r[0] == OUTSIDE_MEMORY, "an instruction outside the memory");
    pynq_cnn_engine(nullptr, nullptr, nullptr, 0, 0, 0, 0, &r[0], &r[1], &r[2], &r[3], &r[4], &r[5], &r[6]);
    expect(r[0] == OK && r[2] == MAGIC, "identity without memory");
}

int main() {
    test_multiply_pair();
    test_requantise();
    test_banks();
    test_layer({28, 28, 1, 4, 3, 3, 1, 1, 1, 1, 2, 2, false, true, 2, 0, 0}, 5, "lenet conv1");
    test_layer({14, 14, 4, 8, 3, 3, 1, 1, 1, 1, 2, 2, false, false, 3, 0, 0}, 4, "lenet conv2");
    test_layer({1, 1, 392, 32, 1, 1, 1, 1, 0, 0, 1, 1, false, false, 4, 0, 0}, 6, "lenet fc1");
    test_layer({1, 1, 32, 10, 1, 1, 1, 1, 0, 0, 1, 1, true, false, 4, 0, 0}, 6, "lenet fc2");
    test_layer({33, 31, 3, 20, 11, 11, 4, 4, 2, 3, 3, 2, false, true, 1, 0, 0}, 2, "11 x 11 stride 4, overlapping pool");
    test_layer({19, 23, 5, 35, 4, 3, 2, 1, 3, 2, 1, 1, false, false, 1, 3, 1}, 3, "row tiles and passes");
    test_layer({40, 9, 7, 17, 5, 5, 1, 2, 2, 0, 2, 1, false, false, 1, 2, 1}, 2, "row tiles under an overlapping pool");
    test_layer({3, 3, 40, 50, 3, 3, 1, 1, 0, 0, 1, 1, true, false, 2, 0, 2}, 5, "int32 in passes");
    test_layer({60, 60, 16, 33, 3, 3, 1, 1, 1, 1, 1, 1, false, false, 1, 7, 0}, 3, "larger than the rings");
    test_layer({150, 60, 16, 8, 11, 3, 200, 1, 0, 1, 1, 1, false, false, 1, 0, 0}, 2, "one output row of an image larger than the ring");
    test_layer({150, 60, 16, 8, 11, 3, 200, 1, 5, 1, 1, 1, false, false, 1, 0, 0}, 2, "the same, padded above");
    test_layer({70, 300, 16, 5, 7, 3, 3, 2, 0, 0, 4, 4, false, false, 1, 1, 0}, 2, "rows of an overlapping pool that nearly fill the ring");
    test_layer({7, 1365, 16, 4, 11, 1, 6, 9, 5, 0, 1, 1, false, false, 1, 1, 0}, 1, "rows that fit as the padding takes none of the ring");
    test_faults();
    std::printf(failures ? "%d failed\n" : "all equal\n", failures);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
