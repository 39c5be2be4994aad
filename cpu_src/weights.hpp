// Weights as an instruction set wants them, once when a network is opened.
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

#include "plan.hpp"
#include "step.hpp"
#include "store.hpp"

namespace pcnn_cpu {

inline int blocks_of(const Set &set, int outputs) { return (outputs + set.lanes - 1) / set.lanes; }

// An array of a value for each output, with as many zeros behind as lanes are left.
inline int32_t *per_lane(Store &store, const Set &set, int outputs, const int32_t *values) {
    int32_t *const lanes = store.zeros<int32_t>(static_cast<size_t>(blocks_of(set, outputs)) * set.lanes);
    std::copy(values, values + outputs, lanes);
    return lanes;
}

// The constants behind the accumulator. `alone`: a block of equal values for each output.
inline Finish pack_finish(Store &store, const Set &set, const Layer &layer, int outputs, bool alone = false) {
    Finish finish = {layer.finish, layer.zero, layer.low, nullptr, nullptr, false, nullptr, nullptr, nullptr};
    const int lanes = set.lanes, count = alone ? outputs * lanes : outputs, padded = blocks_of(set, count) * lanes;
    const auto output = [&](int i) { return alone ? i / lanes : i; };
    if (layer.skip) finish.skip = per_lane(store, set, outputs, layer.skip);
    if (layer.finish == BYTES) {
        const auto ends = std::minmax_element(layer.shift, layer.shift + outputs);
        finish.quick = *ends.first >= 17 && *ends.second <= set.fraction;
        int32_t *const multiplier = store.zeros<int32_t>(padded);
        int64_t *const rounding = store.zeros<int64_t>(padded), *const shift = store.zeros<int64_t>(padded);
        for (int i = 0; i < count; ++i) {
            const int at = i / lanes * lanes + set.place(i % lanes);
            shift[at] = layer.shift[output(i)];
            multiplier[i] =
                finish.quick ? layer.multiplier[output(i)] << (set.fraction - shift[at]) : layer.multiplier[output(i)];
            rounding[at] = int64_t{1} << (shift[at] - 1);
        }
        finish.multiplier = multiplier;
        finish.rounding = rounding;
        finish.shift = shift;
    } else if (layer.finish == BITS) {
        int32_t *const threshold = store.zeros<int32_t>(padded);
        std::fill(threshold, threshold + padded, INT32_MAX);  // bits behind the last channel are 0
        for (int i = 0; i < count; ++i) threshold[i] = layer.threshold[output(i)];
        finish.threshold = threshold;
    }
    return finish;
}

// One byte of a window: where it lies, and which tap's which channel it is. Tap -1: none, beside the window.
struct Place4 {
    int32_t offset;
    int tap[4], channel[4];
};

// The windows of a layer in groups of four bytes; rows that lie behind each other are one.
inline std::vector<Place4> groups_of_four(const Layer &layer, const View &in) {
    const int channels = in.channels, taps_w = layer.kernel_w;
    std::vector<Place4> groups;
    const auto add = [&](ptrdiff_t start, int first_tap, int count) {  // `count` bytes in a row
        for (int at = 0; at < count; at += 4) {
            Place4 four = {static_cast<int32_t>(start + at), {-1, -1, -1, -1}, {}};
            for (int k = 0; k < 4 && at + k < count; ++k) {
                four.tap[k] = first_tap + (at + k) / channels;
                four.channel[k] = (at + k) % channels;
            }
            groups.push_back(four);
        }
    };
    const int row = taps_w * channels;
    if (layer.dilation_w == 1 && layer.dilation_h == 1 && in.row == row) {
        add(0, 0, layer.kernel_h * row);
        return groups;
    }
    for (int i = 0; i < layer.kernel_h; ++i) {
        const ptrdiff_t start = i * layer.dilation_h * in.row;
        if (layer.dilation_w == 1) {
            add(start, i * taps_w, row);
        } else {
            for (int j = 0; j < taps_w; ++j) add(start + j * layer.dilation_w * in.pixel, i * taps_w + j, channels);
        }
    }
    return groups;
}

// The weight of an output for one tap and channel of the whole input: 0 outside its group.
inline int weight_of(const Layer &layer, int channels, int outputs, int output, int tap, int channel) {
    const int each = channels / layer.groups, first = output / (outputs / layer.groups) * each;
    if (tap < 0 || channel < first || channel >= first + each) return 0;
    const int64_t taps = static_cast<int64_t>(layer.kernel_h) * layer.kernel_w;
    return layer.weights[(output * taps + tap) * each + channel - first];
}

// First block and number of blocks of each tile: as even as they can be without beginning inside a byte of bits.
inline std::vector<std::pair<int, int>> tiles_of(const Set &set, int outputs) {
    std::vector<std::pair<int, int>> tiles;
    const int blocks = blocks_of(set, outputs), count = (blocks + set.blocks - 1) / set.blocks;
    for (int i = 0, first = 0; i < count; ++i) {
        const int even = (blocks - first + count - i - 1) / (count - i);
        const int here = set.lanes < 8 ? std::min(set.blocks, blocks - first) : even;
        tiles.push_back({first, here});
        first += here;
    }
    return tiles;
}

// Tiles of weights of bytes. Groups of four in which no output of a tile has a weight are left out: those of other
// groups of channels, and what pruning has made 0.
inline void pack_bytes(Store &store, const Set &set, const Layer &layer, const View &in, int outputs,
                       Product &product) {
    const std::vector<Place4> groups = groups_of_four(layer, in);
    const auto tiles = tiles_of(set, outputs);
    Tile *const packed = store.zeros<Tile>(tiles.size());
    for (size_t t = 0; t < tiles.size(); ++t) {
        const int first = tiles[t].first * set.lanes, last = std::min(outputs, first + tiles[t].second * set.lanes);
        std::vector<int32_t> offsets;
        std::vector<const Place4 *> kept;
        for (const Place4 &four : groups) {
            bool any = false;
            for (int o = first; o < last && !any; ++o)
                for (int k = 0; k < 4 && !any; ++k)
                    any = weight_of(layer, in.channels, outputs, o, four.tap[k], four.channel[k]) != 0;
            if (!any) continue;
            offsets.push_back(four.offset);
            kept.push_back(&four);
        }
        uint8_t *const cells = store.zeros<uint8_t>(kept.size() * tiles[t].second * set.cell);
        uint8_t *cell = cells;
        for (const Place4 *four : kept)
            for (int b = 0; b < tiles[t].second; ++b, cell += set.cell)
                for (int lane = 0; lane < set.lanes; ++lane) {
                    const int o = first + b * set.lanes + lane;
                    for (int k = 0; k < 4 && o < last; ++k)
                        set.put(cell, lane, k,
                                weight_of(layer, in.channels, outputs, o, four->tap[k], four->channel[k]));
                }
        packed[t] = {tiles[t].first, tiles[t].second, static_cast<int>(kept.size()), store.keep(offsets), cells};
    }
    int32_t *const bias = per_lane(store, set, outputs, layer.bias);
    if (set.excess) {
        const int64_t each = static_cast<int64_t>(layer.kernel_h) * layer.kernel_w * (in.channels / layer.groups);
        for (int o = 0; o < outputs; ++o) {
            int64_t sum = bias[o];
            for (int64_t i = 0; i < each; ++i) sum += set.excess * layer.weights[o * each + i];
            bias[o] = static_cast<int32_t>(static_cast<uint32_t>(sum));
        }
    }
    product.bits = false;
    product.tiles = packed;
    product.tile_count = static_cast<int>(tiles.size());
    product.bias = bias;
    product.bias_at = nullptr;
}

// Tiles of weights of bits, a tap at a time.
inline void pack_bits(Store &store, const Set &set, const Layer &layer, const View &in, int outputs, Product &product) {
    const int words = static_cast<int>(in.pixel / 4), taps = layer.kernel_h * layer.kernel_w;
    std::vector<int32_t> offsets;
    for (int i = 0; i < layer.kernel_h; ++i)
        for (int j = 0; j < layer.kernel_w; ++j)
            for (int w = 0; w < words; ++w) offsets.push_back(static_cast<int32_t>(i * in.row + j * in.pixel + 4 * w));
    const int32_t *const kept = store.keep(offsets);
    const auto tiles = tiles_of(set, outputs);
    Tile *const packed = store.zeros<Tile>(tiles.size());
    for (size_t t = 0; t < tiles.size(); ++t) {
        const int blocks = tiles[t].second, first = tiles[t].first * set.lanes;
        uint32_t *const cells = store.zeros<uint32_t>(static_cast<size_t>(taps) * words * blocks * set.lanes);
        uint32_t *cell = cells;
        for (int s = 0; s < taps * words; ++s)
            for (int lane = 0; lane < blocks * set.lanes; ++lane, ++cell)
                if (first + lane < outputs) *cell = layer.bits[static_cast<int64_t>(first + lane) * taps * words + s];
        packed[t] = {tiles[t].first, blocks, taps * words, kept, reinterpret_cast<const uint8_t *>(cells)};
    }
    product.bits = true;
    product.tiles = packed;
    product.tile_count = static_cast<int>(tiles.size());
}

// What binary sums start from: n - 2 * popcount(in ^ weight) over the taps inside the image is
// base - 2 * popcount(in ^ weight) over all of them, where the input has zeros outside. One row of bases for each set
// of taps that is inside at some pixel, of those at (y[i], x[i]).
inline void pack_bases(Store &store, const Set &set, const Layer &layer, const View &in, int outputs,
                       const std::vector<std::pair<int, int>> &at, Product &product) {
    const int lanes = blocks_of(set, outputs) * set.lanes, words = static_cast<int>(in.pixel / 4);
    typedef std::vector<int> Inside;  // first and last row, first and last column
    std::vector<Inside> kinds;
    std::vector<int32_t> which;
    for (const auto &pixel : at) {
        const int y = pixel.first * layer.stride_h - layer.top, x = pixel.second * layer.stride_w - layer.left;
        const Inside inside = {std::max(0, -y), std::min(layer.kernel_h, in.height - y), std::max(0, -x),
                               std::min(layer.kernel_w, in.width - x)};
        const auto found = std::find(kinds.rbegin(), kinds.rend(), inside);
        int kind = static_cast<int>(kinds.rend() - found) - 1;
        if (found == kinds.rend()) {
            kind = static_cast<int>(kinds.size());
            kinds.push_back(inside);
        }
        which.push_back(kind * lanes);
    }
    int32_t *const bases = store.zeros<int32_t>(kinds.size() * lanes);
    for (size_t kind = 0; kind < kinds.size(); ++kind) {
        const Inside &k = kinds[kind];
        for (int o = 0; o < outputs; ++o) {
            const uint32_t *bits = layer.bits + static_cast<int64_t>(o) * layer.kernel_h * layer.kernel_w * words;
            int outside = 0;
            for (int i = 0; i < layer.kernel_h; ++i)
                for (int j = 0; j < layer.kernel_w; ++j)
                    for (int w = 0; w < words; ++w, ++bits)
                        if (i < k[0] || i >= k[1] || j < k[2] || j >= k[3]) outside += __builtin_popcount(*bits);
            bases[kind * lanes + o] = (k[1] - k[0]) * (k[3] - k[2]) * in.channels + 2 * outside;
        }
    }
    product.bias = bases;
    product.bias_at = kinds.size() > 1 ? store.keep(which) : nullptr;
}

}  // namespace pcnn_cpu
