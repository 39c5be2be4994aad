// Test bench: the arithmetic units against every value or many random ones, and the engine against naive golden loops,
// on Programs packed here by hand (so neither the compiler nor the reference of pynq_cnn has a part in it). Also the C
// simulation and co-simulation of Vitis HLS. Exit status 0 if all is equal.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <vector>

#include "banks.hpp"
#include "engine.hpp"
#include "finish.hpp"
#include "instruction.hpp"
#include "mac_bits.hpp"
#include "mac_bytes.hpp"

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
                int16_t product_high, product_low;
                multiply_pair(static_cast<int8_t>(high), static_cast<int8_t>(low), static_cast<uint8_t>(a),
                              product_high, product_low);
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

static int golden_requantise(int64_t acc, int64_t m, int s, int z, int low) {
    const int64_t q = floor_shift(acc * m + (static_cast<int64_t>(1) << (s - 1)), s) + z;
    return static_cast<int>(std::min<int64_t>(std::max<int64_t>(q, low), 255));
}

static void test_requantise() {
    bool ok = true;
    const int32_t edges[] = {INT32_MIN, INT32_MIN + 1, -1, 0, 1, INT32_MAX - 1, INT32_MAX};
    const auto equal = [](int32_t acc, int m, int s, int z, int low) {
        return requantise(acc, static_cast<uint16_t>(m), static_cast<uint8_t>(s), static_cast<uint8_t>(z),
                          static_cast<uint8_t>(low)) == golden_requantise(acc, m, s, z, low);
    };
    for (int s = 1; s <= 47; ++s) {
        for (int32_t acc : edges)
            for (int m : {0, 1, 2, 32768, 65535})
                for (int z : {0, 1, 255}) ok = ok && equal(acc, m, s, z, 0) && equal(acc, m, s, z, z);
        for (int i = 0; i < 2000; ++i)
            ok = ok && equal(static_cast<int32_t>(rng()) >> uniform(0, 24), uniform(0, 65535), s, uniform(0, 255),
                             uniform(0, 255));
    }
    expect(ok, "requantise");
}

static void test_banks() {
    static uint8_t banks[FEATURE_MAP_ROWS][SIMD];
    static uint8_t flat[FEATURE_MAP_BYTES];
    bool ok = true;
    for (int i = 0; i < 5000; ++i) {
        // Consecutive bytes, or one byte of images that are 1 modulo SIMD apart; addresses wrap.
        const uint32_t step = uniform(0, 1) ? 1 : static_cast<uint32_t>(uniform(0, 300)) * SIMD + 1;
        Spread spread;
        spread_of(step / SIMD, spread);
        uint8_t lanes[SIMD];
        const uint32_t address = rng(), from = rng(), count = uniform(0, SIMD);
        for (int l = 0; l < SIMD; ++l) lanes[l] = static_cast<uint8_t>(rng());
        write_lanes(banks, address, spread, lanes, count);
        for (uint32_t l = 0; l < count; ++l) flat[(address + l * step) % sizeof flat] = lanes[l];
        read_lanes(banks, from, spread, lanes);
        for (uint32_t l = 0; l < SIMD; ++l) ok = ok && lanes[l] == flat[(from + l * step) % sizeof flat];
        uint64_t word = static_cast<uint64_t>(rng()) << 32 | rng();
        write_word(banks, address, word);
        for (uint32_t b = 0; b < 8; ++b) flat[(address + b) % sizeof flat] = static_cast<uint8_t>(word >> 8 * b);
        word = read_word(banks, from);
        for (uint32_t b = 0; b < 8; ++b)
            ok = ok && static_cast<uint8_t>(word >> 8 * b) == flat[(from + b) % sizeof flat];
    }
    expect(ok, "banks against a flat memory");
}

static void test_bits() {
    bool ok = true;
    for (int i = 0; i < 2000; ++i) {
        uint8_t activation[SIMD], weight[SIMD], channels[SIMD];
        bool inside[SIMD];
        int differing = 0, count = 0;
        for (int l = 0; l < SIMD; ++l) {
            activation[l] = static_cast<uint8_t>(rng()), weight[l] = static_cast<uint8_t>(rng());
            channels[l] = static_cast<uint8_t>(uniform(0, 8)), inside[l] = uniform(0, 3) != 0;
            for (int b = 0; inside[l] && b < 8; ++b) differing += (activation[l] >> b & 1) != (weight[l] >> b & 1);
            count += inside[l] ? channels[l] : 0;
        }
        ok =
            ok && differing_bits(activation, weight, inside) == differing && channels_inside(channels, inside) == count;
    }
    expect(ok, "differing bits");
}

// Programs by hand.

// The memory is as large as `depth` of the port says: co-simulation copies so many words.
constexpr size_t MEMORY_WORDS = 262144;

struct Instruction {
    uint64_t words[INSTRUCTION_WORDS] = {};
    // `bits` bits at a byte, as docs/contract/instruction-set.md numbers them.
    Instruction &set(int byte, int bits, int64_t value) {
        const uint64_t mask = bits == 64 ? ~0ull : (1ull << bits) - 1;
        words[byte / 8] |= (static_cast<uint64_t>(value) & mask) << (byte % 8 * 8);
        return *this;
    }
};

struct Program {
    std::vector<Instruction> code;
    std::vector<uint64_t> data;  // constants, then inputs and outputs
    static constexpr uint32_t DATA = 4096;

    uint32_t place(const std::vector<uint64_t> &words) {
        const uint32_t address = DATA + static_cast<uint32_t>(data.size());
        data.insert(data.end(), words.begin(), words.end());
        return address;
    }
    uint32_t place_bytes(const std::vector<uint8_t> &bytes) {
        std::vector<uint64_t> words((bytes.size() + 7) / 8);
        std::memcpy(words.data(), bytes.data(), bytes.size());
        return place(words);
    }
    void section(int body, int group) {
        code.push_back(Instruction().set(0, 8, OPCODE_SECTION).set(2, 16, body).set(4, 32, group));
    }
    Instruction &add() {
        code.emplace_back();
        return code.back();
    }
    // One piece of so many words into a memory on the chip.
    void load(int memory, uint32_t address, uint32_t words, uint32_t place, uint32_t run = 0) {
        add()
            .set(0, 8, OPCODE_LOAD)
            .set(1, 8, memory)
            .set(4, 32, words)
            .set(8, 32, address)
            .set(16, 32, place)
            .set(24, 32, run ? run : words)
            .set(32, 32, 1);
    }
    void move_images(int opcode, int memory, uint32_t address, uint32_t words, uint32_t place, uint32_t step) {
        add()
            .set(0, 8, opcode)
            .set(1, 8, memory)
            .set(2, 16, MOVE_PER_IMAGE)
            .set(4, 32, words)
            .set(8, 32, address)
            .set(12, 32, words)
            .set(16, 32, place)
            .set(20, 32, step)
            .set(24, 32, words)
            .set(32, 32, 1);
    }
    std::vector<uint64_t> run(int sections, int images, const char *name) {
        std::vector<uint64_t> memory(MEMORY_WORDS + 64, 0xCCCCCCCCCCCCCCCC);
        for (size_t i = 0; i < code.size(); ++i)
            std::memcpy(&memory[i * INSTRUCTION_WORDS], code[i].words, sizeof code[i].words);
        std::copy(data.begin(), data.end(), memory.begin() + DATA);
        uint32_t r[7];
        pynq_cnn_engine(memory.data(), static_cast<uint32_t>(DATA + data.size()), 0, sections, images, &r[0], &r[1],
                        &r[2], &r[3], &r[4], &r[5], &r[6]);
        expect(r[0] == OK, name);
        for (size_t i = DATA + data.size(); i < memory.size(); ++i)
            if (memory[i] != 0xCCCCCCCCCCCCCCCC) {
                expect(false, "a word outside the Program is touched");
                break;
            }
        return memory;
    }
};

struct Layer {
    int unit, in_h, in_w, in_c, out_c, kernel_h, kernel_w, stride, pad, pool;
    bool int32, sign, skip, half;
    int zero_point, low;
};

static int ceil_div(int a, int b) { return (a + b - 1) / b; }

// One layer over `images` images in turns of `group`: constants in a section of their own, then LOAD, COMPUTE, STORE.
// Bits are packed by the byte.
static void test_layer(const Layer &l, int images, int group, const char *name) {
    const bool bits = l.unit == BITS, lanewise = l.unit == DEPTHWISE || l.unit == MAX || l.unit == OR,
               sparse = l.unit == SPARSE;
    const int conv_h = (l.in_h + 2 * l.pad - l.kernel_h) / l.stride + 1,
              conv_w = (l.in_w + 2 * l.pad - l.kernel_w) / l.stride + 1;
    const int out_h = conv_h / l.pool, out_w = conv_w / l.pool;
    const int in_bytes = bits ? ceil_div(l.in_c, 8) : l.in_c, out_bytes = l.sign ? ceil_div(l.out_c, 8) : l.out_c;
    const int width = bits && !l.half ? BIT_PE : PE, groups = ceil_div(l.out_c, width),
              param_groups = groups * (width / PE);
    const int chunks = lanewise ? 1 : ceil_div(l.kernel_w * in_bytes, SIMD), kernel_cols = lanewise ? l.kernel_w : 1;
    const int window = l.kernel_h * l.kernel_w, inputs = lanewise ? 1 : l.in_c;
    std::vector<int> weight(l.out_c * window * inputs), bias(l.out_c), m(l.out_c), s(l.out_c), k(l.out_c);
    std::vector<uint8_t> input(images * l.in_h * l.in_w * l.in_c),
        skip(images * out_h * out_w * l.out_c);  // of bits, one each
    for (auto &w : weight) w = bits ? uniform(0, 1) * 2 - 1 : sparse && uniform(0, 3) ? 0 : uniform(-127, 127);
    for (auto &x : input) x = static_cast<uint8_t>(uniform(0, bits ? 1 : 255));
    for (auto &x : skip) x = static_cast<uint8_t>(uniform(0, 255));
    for (int o = 0; o < l.out_c; ++o)
        bias[o] = bits ? uniform(-9, 9) : uniform(-100000, 100000), m[o] = uniform(100, 4000), s[o] = uniform(14, 24),
        k[o] = uniform(0, 65535);

    Program p;
    std::vector<uint64_t> parameters, pads;
    for (int o = 0; o < param_groups * PE; ++o) {
        const bool there = o < l.out_c;
        parameters.push_back(there ? static_cast<uint64_t>(s[o]) << 48 | static_cast<uint64_t>(m[o]) << 32 |
                                         static_cast<uint32_t>(bias[o])
                                   : static_cast<uint64_t>(1) << 48 | 0xFFFFFFFFu);
        parameters.push_back(there ? k[o] : 0);
    }
    std::vector<uint8_t> tiles, entries;
    int taps = l.kernel_h * kernel_cols * chunks;
    const auto weight_of = [&](int o, int i, int j, int c) {
        return weight[((o * l.kernel_h + i) * l.kernel_w + j) * inputs + c];
    };
    for (int g = 0; g < groups && !sparse; ++g)
        for (int i = 0; i < l.kernel_h; ++i)
            for (int j = 0; j < kernel_cols; ++j)
                for (int q = 0; q < chunks; ++q)
                    for (int pe = 0; pe < width; ++pe)
                        for (int lane = 0; lane < SIMD; ++lane) {
                            const int o = g * width + pe, place = q * SIMD + lane;
                            int byte = 0;
                            if (lanewise) {
                                byte = pe == 0 && g * PE + lane < l.out_c && lane < PE
                                           ? weight_of(g * PE + lane, i, j, 0)
                                           : 0;
                            } else if (o < l.out_c && place < l.kernel_w * in_bytes) {
                                const int column = place / in_bytes, c = place % in_bytes;
                                if (!bits) byte = weight_of(o, i, column, c);
                                for (int b = 0; bits && b < 8 && c * 8 + b < l.in_c; ++b)
                                    byte |= (weight_of(o, i, column, c * 8 + b) > 0) << b;
                            }
                            tiles.push_back(static_cast<uint8_t>(byte));
                        }
    int count = 0;
    for (int o = 0; o < l.out_c && sparse; ++o) {
        std::vector<uint32_t> channel;
        for (int i = 0; i < l.kernel_h; ++i)
            for (int j = 0; j < l.kernel_w; ++j)
                for (int c = 0; c < l.in_c; ++c)
                    if (weight_of(o, i, j, c))
                        channel.push_back(static_cast<uint8_t>(weight_of(o, i, j, c)) | i << 10 |
                                          (j * l.in_c + c) << 14);
        if (channel.empty()) channel.push_back(0);
        channel.front() |= 1 << 8, channel.back() |= 1 << 9;
        for (uint32_t e : channel)
            for (int b = 0; b < 4; ++b) entries.push_back(static_cast<uint8_t>(e >> 8 * b));
        count += static_cast<int>(channel.size());
    }
    if (sparse) taps = count;
    for (int q = 0; q < chunks * ROW_WORDS; ++q) {
        uint64_t word = 0;
        for (int b = 0; b < 8; ++b) {
            const int place = q * 8 + b, c = place % in_bytes;
            if (place < l.kernel_w * in_bytes) word |= static_cast<uint64_t>(std::min(8, l.in_c - c * 8)) << (8 * b);
        }
        pads.push_back(word);
    }

    // On the chip: input, output, skip, each image at a step; of SPARSE one that is 1 modulo SIMD.
    const auto step_of = [&](int bytes) { return sparse ? ceil_div(bytes, SIMD) * SIMD + 1 : ceil_div(bytes, 8) * 8; };
    const int in_size = l.in_h * l.in_w * in_bytes, out_size = out_h * out_w * out_bytes,
              skip_size = out_h * out_w * l.out_c;
    const int in_step = step_of(in_size), out_step = step_of(out_size);
    const int in_place = 40, out_place = in_place + group * in_step + 64,
              skip_place = out_place + group * out_step + 64;
    const int in_words = ceil_div(in_size, 8), out_words = l.int32 ? groups * RESULT_WORDS : ceil_div(out_size, 8),
              skip_words = ceil_div(skip_size, 8);
    std::vector<uint8_t> packed(images * in_words * 8), packed_skip(images * skip_words * 8);
    for (int n = 0; n < images; ++n) {
        for (int i = 0; i < l.in_h * l.in_w; ++i)
            for (int c = 0; c < l.in_c; ++c) {
                const uint8_t x = input[(n * l.in_h * l.in_w + i) * l.in_c + c];
                if (bits)
                    packed[n * in_words * 8 + i * in_bytes + c / 8] |= static_cast<uint8_t>(x << c % 8);
                else
                    packed[n * in_words * 8 + i * in_bytes + c] = x;
            }
        for (int i = 0; i < skip_size; ++i) packed_skip[n * skip_words * 8 + i] = skip[n * skip_size + i];
    }
    const uint32_t in_address = p.place_bytes(packed), skip_address = p.place_bytes(packed_skip);
    const uint32_t out_address = p.place(std::vector<uint64_t>(images * out_words, 0xDDDDDDDDDDDDDDDD));
    const int with_pads = bits ? 1 : 0;
    p.section(2 + with_pads, images);
    p.load(PARAMETERS, p.place(parameters), static_cast<uint32_t>(parameters.size()), 4);
    if (sparse)
        p.load(SPARSE_ENTRIES, p.place_bytes(entries), ceil_div(count, 2), 6);
    else
        p.load(WEIGHTS, p.place_bytes(tiles), static_cast<uint32_t>(tiles.size() / 8), 3, TILE_WORDS);
    if (with_pads) p.load(PADS, p.place(pads), static_cast<uint32_t>(pads.size()), 2);
    p.section(l.skip ? 4 : 3, group);
    p.move_images(OPCODE_LOAD, FEATURE_MAPS, in_address, in_words, in_place, in_step);
    if (l.skip) p.move_images(OPCODE_LOAD, FEATURE_MAPS, skip_address, skip_words, skip_place, skip_words * 8);
    const int row_bytes = l.in_w * in_bytes, flags = (l.int32 ? FLAG_INT32 : 0) | (l.sign ? FLAG_SIGN : 0) |
                                                     (l.skip ? FLAG_SKIP : 0) | (bits ? FLAG_PAD_VECTOR : 0) |
                                                     (l.half ? FLAG_HALF : 0);
    const int pad_byte = l.unit == BYTES || l.unit == DEPTHWISE || sparse ? 7 : 0;
    const int64_t iterations =
        sparse ? static_cast<int64_t>(out_h) * out_w * taps
               : static_cast<int64_t>(out_h) * out_w * groups * l.pool * l.pool * (taps + (l.skip ? 1 : 0));
    const int lanes = l.unit == OR ? out_bytes : l.out_c;
    p.add()
        .set(0, 8, OPCODE_COMPUTE)
        .set(1, 8, l.unit)
        .set(2, 16, flags)
        .set(4, 16, out_h)
        .set(6, 16, out_w)
        .set(8, 16, groups)
        .set(10, 8, l.pool)
        .set(11, 8, l.pool)
        .set(12, 8, l.kernel_h)
        .set(13, 8, kernel_cols)
        .set(14, 16, chunks)
        .set(16, 32, iterations)
        .set(20, 32, in_step)
        .set(24, 32, in_place - l.pad * row_bytes)
        .set(28, 32, l.pool * l.stride * row_bytes)
        .set(32, 32, l.stride * row_bytes)
        .set(36, 32, row_bytes)
        .set(40, 32, l.pool * l.stride * in_bytes)
        .set(44, 32, l.stride * in_bytes)
        .set(48, 32, in_bytes)
        .set(52, 32, lanewise ? PE : 0)
        .set(56, 16, -l.pad)
        .set(58, 16, l.pool * l.stride)
        .set(60, 16, l.stride)
        .set(62, 16, 1)
        .set(64, 16, l.in_h)
        .set(68, 32, row_bytes)
        .set(72, 32, -l.pad * in_bytes)
        .set(76, 32, sparse ? 6 : 3)
        .set(80, 32, bits && !l.half ? 2 * taps : taps)
        .set(84, 16, 4)
        .set(86, 16, 2)
        .set(88, 8, l.zero_point)
        .set(89, 8, l.low)
        .set(90, 8, pad_byte)
        .set(91, 8, (l.kernel_w * in_bytes - 1) % SIMD + 1)
        .set(92, 16, lanes)
        .set(94, 16, lanes)
        .set(96, 32, l.int32 ? 0 : out_place)
        .set(100, 32, l.int32 ? groups : out_step)
        .set(104, 32, out_w * out_bytes)
        .set(108, 32, out_bytes)
        .set(112, 32, skip_place)
        .set(116, 32, skip_words * 8)
        .set(120, 32, out_w * l.out_c)
        .set(124, 32, l.out_c);
    // BITS reads two tiles a tap: PEs 0..PE-1, then the others; `tiles` has them in this order already.
    if (l.int32)
        p.move_images(OPCODE_STORE, RESULTS, out_address, out_words, 0, 0), p.code.back().set(2, 16, MOVE_MERGED);
    else
        p.move_images(OPCODE_STORE, FEATURE_MAPS, out_address, out_words, out_place, out_step);
    const std::vector<uint64_t> memory = p.run(2, images, name);

    bool ok = true;
    for (int n = 0; n < images; ++n)
        for (int y = 0; y < out_h; ++y)
            for (int x = 0; x < out_w; ++x)
                for (int o = 0; o < l.out_c; ++o) {
                    int64_t best = 0, acc = 0;
                    for (int dy = 0; dy < l.pool; ++dy)
                        for (int dx = 0; dx < l.pool; ++dx) {
                            acc = bias[o];
                            if (l.skip)
                                acc += static_cast<int64_t>(k[o]) * skip[((n * out_h + y) * out_w + x) * l.out_c + o];
                            int largest = 0, all = 0;
                            for (int i = 0; i < l.kernel_h; ++i)
                                for (int j = 0; j < l.kernel_w; ++j)
                                    for (int c = 0; c < inputs; ++c) {
                                        const int row = (y * l.pool + dy) * l.stride - l.pad + i,
                                                  column = (x * l.pool + dx) * l.stride - l.pad + j;
                                        const bool in = row >= 0 && row < l.in_h && column >= 0 && column < l.in_w;
                                        const int channel = lanewise ? o : c;
                                        const int a =
                                            in ? input[((n * l.in_h + row) * l.in_w + column) * l.in_c + channel]
                                               : pad_byte;
                                        if (bits)
                                            acc += in ? (2 * a - 1) * weight_of(o, i, j, c) : 0;
                                        else
                                            acc += a * weight_of(o, i, j, c);
                                        if (in) largest = std::max(largest, a), all |= a;
                                    }
                            const int64_t one = l.unit == MAX  ? largest
                                                : l.unit == OR ? all
                                                : l.sign ? acc >= 0
                                                         : golden_requantise(acc, m[o], s[o], l.zero_point, l.low);
                            best = std::max(best, one);
                        }
                    const uint8_t *out = reinterpret_cast<const uint8_t *>(&memory[out_address + n * out_words]);
                    if (l.int32) {
                        int32_t got;
                        std::memcpy(&got, out + 4 * o, 4);
                        ok = ok && got == acc;
                    } else if (l.sign) {
                        ok = ok && (out[(y * out_w + x) * out_bytes + o / 8] >> o % 8 & 1) == best;
                        for (int bit = l.out_c; bit < out_bytes * 8; ++bit)
                            ok = ok && !(out[(y * out_w + x) * out_bytes + bit / 8] >> bit % 8 & 1);
                    } else {
                        ok = ok && out[(y * out_w + x) * out_bytes + o] == best;
                    }
                }
    expect(ok, name);
}

static void test_faults() {
    uint32_t r[7];
    const auto run = [&](const Program &p, uint32_t words, int sections) {
        std::vector<uint64_t> memory(MEMORY_WORDS, 0);
        for (size_t i = 0; i < p.code.size(); ++i)
            std::memcpy(&memory[i * INSTRUCTION_WORDS], p.code[i].words, sizeof p.code[i].words);
        pynq_cnn_engine(memory.data(), words, 0, sections, 1, &r[0], &r[1], &r[2], &r[3], &r[4], &r[5], &r[6]);
    };
    Program none, wrong, outside, zero;
    none.add();
    run(none, 16, 1);
    expect(r[0] == UNKNOWN_OPCODE && r[1] == 0 && r[2] == MAGIC && r[3] == ISA_VERSION, "an unknown opcode");
    run(none, 15, 1);
    expect(r[0] == OUTSIDE_MEMORY, "an instruction outside the memory");
    wrong.section(1, 1), wrong.add().set(0, 8, 9);
    run(wrong, 32, 1);
    expect(r[0] == UNKNOWN_OPCODE && r[1] == 1, "an unknown opcode in a body");
    run(wrong, 31, 1);
    expect(r[0] == OUTSIDE_MEMORY && r[1] == 0, "a body outside the memory");
    outside.section(2, 1), outside.load(FEATURE_MAPS, 0, 4, 0), outside.load(FEATURE_MAPS, 45, 4, 0);
    run(outside, 48, 1);
    expect(r[0] == OUTSIDE_MEMORY && r[1] == 2, "a burst outside the memory");
    zero.section(1, 1), zero.add().set(0, 8, OPCODE_COMPUTE);
    run(zero, 32, 1);
    expect(r[0] == BAD_FIELD && r[1] == 1, "counters that never end");
    zero.code[0] = Instruction().set(0, 8, OPCODE_SECTION);
    run(zero, 32, 1);
    expect(r[0] == BAD_FIELD && r[1] == 0, "a section without a body");
    pynq_cnn_engine(nullptr, 0, 0, 0, 0, &r[0], &r[1], &r[2], &r[3], &r[4], &r[5], &r[6]);
    expect(r[0] == OK && r[2] == MAGIC, "identity without memory");
}

int main() {
    test_multiply_pair();
    test_requantise();
    test_banks();
    test_bits();
    //          unit   in           out kernel stride pad pool  int32  sign   skip   half  zero low
    test_layer({BYTES, 28, 28, 1, 4, 3, 3, 1, 1, 2, false, false, false, false, 0, 0}, 5, 2, "lenet conv1");
    test_layer({BYTES, 14, 14, 4, 8, 3, 3, 1, 1, 2, false, false, false, false, 9, 9}, 4, 4,
               "lenet conv2, a zero point");
    test_layer({BYTES, 1, 1, 392, 32, 1, 1, 1, 0, 1, false, false, false, false, 128, 0}, 6, 4, "lenet fc1, no ReLU");
    test_layer({BYTES, 1, 1, 32, 40, 1, 1, 1, 0, 1, true, false, false, false, 0, 0}, 6, 6, "int32 results");
    test_layer({BYTES, 13, 11, 5, 35, 5, 4, 2, 2, 1, false, false, true, false, 3, 3}, 3, 2, "a residual");
    test_layer({BYTES, 9, 9, 3, 70, 3, 3, 1, 1, 2, false, true, false, false, 0, 0}, 3, 1, "bytes to bits");
    test_layer({BITS, 9, 10, 70, 70, 3, 3, 1, 1, 1, false, true, false, false, 0, 0}, 3, 2,
               "bits, borders by channels");
    test_layer({BITS, 8, 8, 64, 33, 3, 3, 1, 1, 2, false, true, false, false, 0, 0}, 2, 2, "bits, pooled");
    test_layer({BITS, 7, 5, 13, 20, 3, 2, 2, 1, 1, false, true, false, true, 0, 0}, 2, 2, "bits, half");
    test_layer({BITS, 4, 4, 100, 10, 4, 4, 1, 0, 1, true, false, false, true, 0, 0}, 5, 3, "bits to int32");
    test_layer({DEPTHWISE, 9, 7, 37, 37, 3, 3, 2, 1, 1, false, false, false, false, 20, 0}, 3, 2, "depthwise");
    test_layer({DEPTHWISE, 6, 6, 20, 20, 3, 3, 1, 1, 1, false, false, true, false, 20, 20}, 3, 2,
               "depthwise with a residual");
    test_layer({MAX, 9, 7, 21, 21, 3, 3, 2, 1, 1, false, false, false, false, 0, 0}, 3, 3, "max pooling");
    test_layer({OR, 9, 7, 21, 21, 3, 2, 2, 1, 1, false, false, false, false, 0, 0}, 3, 3, "or pooling");
    test_layer({SPARSE, 1, 1, 300, 40, 1, 1, 1, 0, 1, false, false, false, false, 5, 5}, 20, 16, "sparse fc");
    test_layer({SPARSE, 7, 6, 5, 12, 3, 3, 2, 1, 1, false, false, false, false, 0, 0}, 9, 7, "sparse convolution");
    test_faults();
    std::printf(failures ? "%d failed\n" : "all equal\n", failures);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
