#include "network.hpp"

#include <algorithm>
#include <cstdint>

#include "arena.hpp"
#include "weights.hpp"

namespace pcnn_cpu {

namespace {

enum {
    CACHE = 512 << 10,  // bytes of activations that are worked on at once
    MOST = 32,          // images, if they fit
    LEAST = 8,          // images, if there are so many: weights are read once for all of them
    ROOM = 16 << 20,    // bytes of activations for so many, at most
    SLACK = 1 << 10,    // bytes behind a workspace: vectors reach beyond the last value
};
const int64_t LARGEST = std::min<int64_t>(INT32_MAX, PTRDIFF_MAX / 32) - 64;  // bytes of a tensor of one image
// Less work is not worth a thread of its own: one that has images to itself, or parts of each layer.
const double ALONE = 75e3, TOGETHER = 300e3;

// Weights of each output four to a word; zeros of any input make the last four whole.
void in_fours(std::vector<int32_t> *first, std::vector<int32_t> *offsets, std::vector<int32_t> *weights) {
    std::vector<int32_t> new_first = {0}, new_offsets, words;
    for (size_t o = 0; o + 1 < first->size(); ++o) {
        const int32_t begin = (*first)[o], end = (*first)[o + 1];
        for (int32_t at = begin; at < end; at += 4) {
            uint32_t word = 0;
            for (int k = 0; k < 4; ++k) {
                const bool there = at + k < end;
                new_offsets.push_back((*offsets)[there ? at + k : begin]);
                if (there) word |= static_cast<uint32_t>(static_cast<uint8_t>((*weights)[at + k])) << (8 * k);
            }
            words.push_back(static_cast<int32_t>(word));
        }
        new_first.push_back(static_cast<int32_t>(new_offsets.size()));
    }
    *first = new_first;
    *offsets = new_offsets;
    *weights = words;
}

}  // namespace

Network::Network(const Plan &plan, const Set &set, int threads, int batch, bool eager)
    : set(set), threads(threads), batch(batch), eager(eager) {
    place_tensors(plan);
    add_border(plan, 0);
    for (size_t i = 0; i < plan.layers.size(); ++i) {
        if (absorbed[i]) continue;
        add_layer(plan, static_cast<int>(i));
        add_border(plan, last_tensor(static_cast<int>(i)));
    }
}

Network::~Network() {
    if (helpers && !helpers->here()) helpers.release();  // a forked child cannot end its parent's
}

// Where every tensor lies: with room around it for the layers that pad it, in memory of its own for as long as it is
// needed.
void Network::place_tensors(const Plan &plan) {
    const int tensors = static_cast<int>(plan.tensors.size());
    std::vector<int> uses(tensors), last(tensors);
    borders.assign(tensors, Border{0, 0, 0, 0});
    fused.assign(plan.layers.size(), 0);
    absorbed.assign(plan.layers.size(), 0);
    for (size_t i = 0; i < plan.layers.size(); ++i) {
        const Layer &layer = plan.layers[i];
        for (const int input : layer.inputs) {
            ++uses[input];
            last[input] = static_cast<int>(i);
        }
        if (layer.kind == MAX_POOL || layer.kind == CONCAT) continue;  // they look at nothing outside
        Border &border = borders[layer.inputs[0]];
        border.top = std::max(border.top, layer.top);
        border.left = std::max(border.left, layer.left);
        border.bottom = std::max(border.bottom, layer.bottom);
        border.right = std::max(border.right, layer.right);
    }
    // A pooling whose windows do not overlap is part of the convolution whose output nobody else takes.
    for (size_t i = 0; i < plan.layers.size(); ++i) {
        const Layer &layer = plan.layers[i];
        const int window = layer.kernel_h * layer.kernel_w, from = layer.inputs[0] - 1;
        if (layer.kind != MAX_POOL || from < 0 || uses[from + 1] != 1) continue;
        const bool whole = layer.stride_h >= layer.kernel_h && layer.stride_w >= layer.kernel_w && !layer.top &&
                           !layer.left && !layer.bottom && !layer.right;
        const int kind = plan.layers[from].kind;
        if (!whole || set.rows % window || window == 1 || (kind != CONV && kind != BINARY)) continue;
        fused[from] = static_cast<int>(i) + 1;
        absorbed[i] = 1;
    }
    std::vector<ptrdiff_t> sizes(tensors);
    views.resize(tensors);
    int64_t image = 0;
    for (int t = 0; t < tensors; ++t) {
        const Tensor &tensor = plan.tensors[t];
        View &view = views[t];
        const Border &border = borders[t];
        view.type = tensor.type;
        view.height = tensor.height;
        view.width = tensor.width;
        view.channels = tensor.channels;
        view.pixel = tensor.type == BYTES  ? tensor.channels
                     : tensor.type == BITS ? (tensor.channels + 63) / 64 * 8
                                           : 4 * static_cast<ptrdiff_t>(tensor.channels);
        // Offsets within an image are of 32 bits, and so may be addresses.
        const int64_t bytes = static_cast<int64_t>(view.pixel) * (border.left + tensor.width + border.right) *
                              (border.top + tensor.height + border.bottom);
        if (bytes > LARGEST) throw std::runtime_error("one of its tensors is too large for this machine");
        view.row = view.pixel * (border.left + tensor.width + border.right);
        view.origin = border.top * view.row + border.left * view.pixel;
        view.image = (view.row * (border.top + tensor.height + border.bottom) + 63) / 64 * 64;
        const bool there = t == 0 || !fused[t - 1];
        sizes[t] = there ? view.image : 0;
        image += sizes[t];
    }
    const int64_t least = std::max<int64_t>(1, std::min<int64_t>(LEAST, ROOM / image));
    chunk = static_cast<int>(std::min<int64_t>(MOST, std::max(least, CACHE / image)));
    chunk = std::min(chunk, batch);
    if (image > PTRDIFF_MAX / 4 / chunk) throw std::runtime_error("its tensors are too large for this machine");
    Arena arena;
    for (int t = 0; t < tensors; ++t) {
        if (!sizes[t]) continue;
        int made = t - 1;  // its layer, or that which it is part of
        if (t > 0 && absorbed[t - 1]) made = plan.layers[t - 1].inputs[0] - 1;
        views[t].start = arena.place(sizes[t] * chunk, made, t + 1 == tensors ? tensors : std::max(last[t], made));
    }
    tensor_bytes = arena.bytes();
    const Tensor &input = plan.tensors[0];
    input_bytes = input.height * input.width * input.channels;
}

void Network::add_layer(const Plan &plan, int i) {
    const Layer &layer = plan.layers[i];
    switch (layer.kind) {
        case CONV: {
            const int channels = plan.tensors[layer.inputs[0]].channels;
            const bool depthwise =
                layer.groups > 1 && layer.groups == channels && channels == plan.tensors[i + 1].channels;
            // Fewer lanes than bits in a byte: only `product` puts two vectors into one.
            if (depthwise && !fused[i] && (layer.finish != BITS || set.lanes >= 8))
                add_channelwise(plan, i, false);
            else
                add_convolution(plan, i);
            break;
        }
        case BINARY:
            add_binary(plan, i);
            break;
        case MAX_POOL:
            add_max_pool(plan, i);
            break;
        case AVG_POOL:
            add_channelwise(plan, i, true);
            break;
        case CONCAT:
            add_concat(plan, i);
            break;
        default:
            throw std::runtime_error("a layer of a kind that is not known");
    }
}

// Where the windows and results of a layer lie; `at` gets the pixels of its output in the order in which it works on
// them.
Sweep Network::sweep_of(const Plan &plan, int i, std::vector<std::pair<int, int>> *at) {
    const Layer &layer = plan.layers[i];
    const View &in = views[layer.inputs[0]], &out = views[last_tensor(i)];
    const View skip = layer.skip ? views[layer.inputs.back()] : View{};
    const int pool_h = fused[i] ? plan.layers[fused[i] - 1].kernel_h : 1,
              pool_w = fused[i] ? plan.layers[fused[i] - 1].kernel_w : 1;
    const int step_h = fused[i] ? plan.layers[fused[i] - 1].stride_h : 1,
              step_w = fused[i] ? plan.layers[fused[i] - 1].stride_w : 1;
    std::vector<ptrdiff_t> in_at, out_at, skip_at;
    for (int y = 0; y < out.height; ++y)
        for (int x = 0; x < out.width; ++x) {
            out_at.push_back(out.origin + y * out.row + x * out.pixel);
            for (int j = 0; j < pool_h; ++j)
                for (int k = 0; k < pool_w; ++k) {
                    const int row = y * step_h + j, column = x * step_w + k;
                    at->push_back({row, column});
                    in_at.push_back(in.origin + (row * layer.stride_h - layer.top) * in.row +
                                    (column * layer.stride_w - layer.left) * in.pixel);
                    if (layer.skip) skip_at.push_back(skip.origin + row * skip.row + column * skip.pixel);
                }
        }
    Sweep sweep;
    sweep.in = in;
    sweep.out = out;
    sweep.skip = skip;
    sweep.pixels = static_cast<int>(at->size());
    sweep.window = pool_h * pool_w;
    sweep.outputs = out.channels;
    sweep.in_at = store.keep(in_at);
    sweep.out_at = store.keep(out_at);
    sweep.skip_at = store.keep(skip_at);
    return sweep;
}

void Network::add_convolution(const Plan &plan, int i) {
    const Layer &layer = plan.layers[i];
    std::vector<std::pair<int, int>> at;
    Product product;
    product.sweep = sweep_of(plan, i, &at);
    const int outputs = product.sweep.outputs;
    pack_bytes(store, set, layer, product.sweep.in, outputs, product);
    if (add_sparse(plan, i, product)) return;
    product.sweep.finish = pack_finish(store, set, layer, outputs);
    for (int t = 0; t < product.tile_count; ++t)
        work += static_cast<double>(product.sweep.pixels) * product.tiles[t].steps * product.tiles[t].blocks *
                set.step_cost;
    const Set &by = set;
    steps.push_back([product, &by](const Task &task) { by.product(product, task); });
}

void Network::add_binary(const Plan &plan, int i) {
    const Layer &layer = plan.layers[i];
    std::vector<std::pair<int, int>> at;
    Product product;
    product.sweep = sweep_of(plan, i, &at);
    const int outputs = product.sweep.outputs;
    pack_bits(store, set, layer, product.sweep.in, outputs, product);
    pack_bases(store, set, layer, product.sweep.in, outputs, at, product);
    product.sweep.finish = pack_finish(store, set, layer, outputs);
    for (int t = 0; t < product.tile_count; ++t)
        work += static_cast<double>(product.sweep.pixels) * product.tiles[t].steps * product.tiles[t].blocks * 2;
    const Set &by = set;
    steps.push_back([product, &by](const Task &task) { by.product(product, task); });
}

// Each weight by itself, where so few are left that this is quicker than what `product` takes.
bool Network::add_sparse(const Plan &plan, int i, const Product &product) {
    const Layer &layer = plan.layers[i];
    const View &in = product.sweep.in;
    const int outputs = product.sweep.outputs, lanes = set.lanes;
    if (layer.finish == BITS || layer.groups > 1) return false;
    std::vector<int32_t> first = {0}, offsets, weights;
    const int64_t taps = static_cast<int64_t>(layer.kernel_h) * layer.kernel_w;
    const bool one = product.sweep.pixels == 1;
    if (!one && (layer.stride_h > 1 || layer.stride_w > 1 || layer.skip)) return false;
    const Border &border = borders[layer.inputs[0]];
    const int pitch = border.left + in.width + border.right, plane = pitch * (border.top + in.height + border.bottom);
    for (int o = 0; o < outputs; ++o) {
        for (int64_t tap = 0; tap < taps; ++tap)
            for (int c = 0; c < in.channels; ++c) {
                const int weight = layer.weights[(o * taps + tap) * in.channels + c];
                if (!weight) continue;
                const ptrdiff_t y = tap / layer.kernel_w * layer.dilation_h,
                                x = tap % layer.kernel_w * layer.dilation_w;
                offsets.push_back(static_cast<int32_t>(one ? y * in.row + x * in.pixel + c
                                                           : static_cast<ptrdiff_t>(c) * plane + y * pitch + x));
                weights.push_back(weight);
            }
        first.push_back(static_cast<int32_t>(weights.size()));
    }
    double dense = 0, count = static_cast<double>(weights.size());
    for (int t = 0; t < product.tile_count; ++t)
        dense += static_cast<double>(product.tiles[t].steps) * product.tiles[t].blocks;
    dense *= static_cast<double>(product.sweep.pixels) * set.step_cost;
    const Set &by = set;
    if (one) {
        if (count * 1.5 >= dense) return false;
        SparseRows rows;
        rows.sweep = product.sweep;
        rows.sweep.finish = pack_finish(store, set, layer, outputs);
        rows.first = store.keep(first);
        rows.offsets = store.keep(offsets);
        rows.weights = store.keep(weights);
        rows.bias = per_lane(store, set, outputs, layer.bias);
        work += count * 1.5;
        steps.push_back([rows, &by](const Task &task) { by.sparse_rows(rows, task); });
        return true;
    }
    const Tensor &whole = plan.tensors[i + 1];
    const int positions = (whole.height - 1) * pitch + whole.width, vectors = (positions + lanes - 1) / lanes;
    double fours = 0;  // groups of four weights
    for (int o = 0; o < outputs; ++o) fours += (first[o + 1] - first[o] + 3) / 4;
    const double single = 1.2 * count * vectors, grouped = 8 * fours * ((positions + 63) / 64);
    const double sums = set.fours ? std::min(single, grouped) : single;
    const double sparse = sums + 0.5 * in.height * in.width * in.channels + 6.0 * outputs * vectors;
    const Layer *const pool = fused[i] ? &plan.layers[fused[i] - 1] : nullptr;
    if (sparse >= dense || layer.finish != BYTES) return false;
    if (pool && (pool->stride_h != pool->kernel_h || pool->stride_w != pool->kernel_w)) return false;
    SparsePlanes p;
    p.sweep = product.sweep;
    p.sweep.finish = pack_finish(store, set, layer, outputs, true);
    p.channels = in.channels;
    p.height = in.height;
    p.width = in.width;
    p.top = border.top;
    p.left = border.left;
    p.pitch = pitch;
    p.plane = plane;
    p.rows = whole.height;
    p.columns = whole.width;
    p.pool_h = pool ? pool->kernel_h : 1;
    p.pool_w = pool ? pool->kernel_w : 1;
    // The windows begin where this layer's padding does, which may be less than the border.
    for (int32_t &offset : offsets) offset += (border.top - layer.top) * pitch + border.left - layer.left;
    p.fours = set.fours && grouped < single;
    if (p.fours) in_fours(&first, &offsets, &weights);
    p.first = store.keep(first);
    p.offsets = store.keep(offsets);
    p.weights = store.keep(weights);
    p.bias = store.keep(std::vector<int32_t>(layer.bias, layer.bias + outputs));
    const ptrdiff_t room = 16 * lanes;  // values behind, which vectors reach
    const auto whole_lines = [](ptrdiff_t size) { return (size + 63) / 64 * 64; };
    p.ready_row = static_cast<int>(whole_lines(product.sweep.pixels / product.sweep.window + lanes + 16));
    p.planes = scratch_bytes;
    p.sums = p.planes + whole_lines(static_cast<ptrdiff_t>(in.channels) * plane + room);
    p.ready = p.sums + whole_lines(4 * (static_cast<ptrdiff_t>(positions) + p.pool_h * pitch + room));
    scratch_bytes = p.ready + 16 * p.ready_row;
    const std::vector<uint8_t> zero = plan.tensors[layer.inputs[0]].zero;
    beginnings.push_back([p, zero](uint8_t *scratch) {
        for (int c = 0; c < p.channels; ++c)
            memset(scratch + p.planes + static_cast<ptrdiff_t>(c) * p.plane, zero[c % zero.size()], p.plane);
    });
    work += sparse;
    steps.push_back([p, &by](const Task &task) { by.sparse_planes(p, task); });
    return true;
}

void Network::add_channelwise(const Plan &plan, int i, bool average) {
    const Layer &layer = plan.layers[i];
    std::vector<std::pair<int, int>> at;
    Channelwise c;
    c.sweep = sweep_of(plan, i, &at);
    const View &in = c.sweep.in;
    const int outputs = c.sweep.outputs, lanes = blocks_of(set, outputs) * set.lanes;
    std::vector<int32_t> offsets;
    for (int j = 0; j < layer.kernel_h; ++j)
        for (int k = 0; k < layer.kernel_w; ++k)
            offsets.push_back(static_cast<int32_t>(j * layer.dilation_h * in.row + k * layer.dilation_w * in.pixel));
    c.taps = static_cast<int>(offsets.size());
    c.offsets = store.keep(offsets);
    if (average) {
        c.weight_row = 0;
        c.weights = store.keep(std::vector<int32_t>(lanes, 1));
        c.bias = store.keep(std::vector<int32_t>(lanes, layer.bias[0]));
    } else {
        int32_t *const weights = store.zeros<int32_t>(static_cast<size_t>(c.taps) * lanes);
        for (int t = 0; t < c.taps; ++t)
            for (int o = 0; o < outputs; ++o)
                weights[static_cast<size_t>(t) * lanes + o] = layer.weights[static_cast<size_t>(o) * c.taps + t];
        c.weight_row = lanes;
        c.weights = weights;
        c.bias = per_lane(store, set, outputs, layer.bias);
    }
    c.sweep.finish = pack_finish(store, set, layer, outputs);
    work += static_cast<double>(c.sweep.pixels) * c.taps * lanes / set.lanes;
    const Set &by = set;
    steps.push_back([c, &by](const Task &task) { by.channelwise(c, task); });
}

void Network::add_max_pool(const Plan &plan, int i) {
    const Layer &layer = plan.layers[i];
    const MaxPool pool = {views[layer.inputs[0]], views[i + 1],   layer.kernel_h, layer.kernel_w,
                          layer.stride_h,         layer.stride_w, layer.top,      layer.left};
    work += static_cast<double>(pool.out.height) * pool.out.width * pool.size_h * pool.size_w *
            static_cast<double>(pool.out.pixel) / 16;
    const Set &by = set;
    steps.push_back([pool, &by](const Task &task) { by.max_pool(pool, task); });
}

void Network::add_concat(const Plan &plan, int i) {
    const Layer &layer = plan.layers[i];
    std::vector<View> in;
    for (const int input : layer.inputs) in.push_back(views[input]);
    const Concat concat = {views[i + 1], static_cast<int>(in.size()), store.keep(in)};
    work += static_cast<double>(concat.out.height) * concat.out.width * static_cast<double>(concat.out.pixel) / 16;
    const Set &by = set;
    steps.push_back([concat, &by](const Task &task) { by.concat(concat, task); });
}

// What lies around the image, of each byte the zero point of its channel and of bits 0: written anew every time, as
// other tensors have the memory between.
void Network::add_border(const Plan &plan, int t) {
    const Tensor &tensor = plan.tensors[t];
    const View view = views[t];
    const Border border = borders[t];
    if (!border.top && !border.left && !border.bottom && !border.right) return;
    std::vector<uint8_t> row(view.row);
    for (ptrdiff_t at = 0; at < view.row; ++at)
        row[at] = tensor.type == BYTES ? tensor.zero[at % view.pixel % tensor.zero.size()] : 0;
    const uint8_t *const pattern = store.keep(row);
    steps.push_back([view, border, pattern](const Task &task) {
        const ptrdiff_t before = border.left * view.pixel, behind = border.right * view.pixel;
        if (task.part) return;
        for (int n = 0; n < task.images; ++n) {
            uint8_t *at = task.base + view.start + n * view.image;
            for (int y = 0; y < border.top; ++y, at += view.row) memcpy(at, pattern, view.row);
            for (int y = 0; y < view.height; ++y, at += view.row) {
                memcpy(at, pattern, before);
                memcpy(at + view.row - behind, pattern, behind);
            }
            for (int y = 0; y < border.bottom; ++y, at += view.row) memcpy(at, pattern, view.row);
        }
    });
}

void Network::need_workspaces(int count) {
    while (static_cast<int>(workspaces.size()) < count) {
        Workspace fresh = {store.zeros<uint8_t>(tensor_bytes + SLACK), store.zeros<uint8_t>(scratch_bytes + SLACK)};
        for (const auto &begin : beginnings) begin(fresh.scratch);
        workspaces.push_back(fresh);
    }
}

// The network on some images, in one workspace. `each` does one step, or lets several threads do parts of it.
template <class Each>
void Network::run_some(const uint8_t *images, int32_t *results, int64_t count, uint8_t *base, const Each &each) {
    const View &in = views.front(), &out = views.back();
    const ptrdiff_t row = static_cast<ptrdiff_t>(in.width) * in.channels;
    for (int64_t at = 0; at < count; at += chunk) {
        const int here = static_cast<int>(std::min<int64_t>(chunk, count - at));
        for (int n = 0; n < here; ++n) {
            const uint8_t *from = images + (at + n) * input_bytes;
            uint8_t *to = base + in.start + n * in.image + in.origin;
            if (row == in.row)
                memcpy(to, from, input_bytes);
            else
                for (int y = 0; y < in.height; ++y, from += row, to += in.row) memcpy(to, from, row);
        }
        for (const Step &step : steps) each(step, here);
        for (int n = 0; n < here; ++n)
            memcpy(results + (at + n) * out.channels, base + out.start + n * out.image + out.origin,
                   4 * static_cast<size_t>(out.channels));
    }
}

void Network::run(const uint8_t *images, int32_t *results, int64_t count) {
    const int outputs = views.back().channels;
    const auto some = [&](int64_t first, int64_t last, int thread) {
        const Workspace &own = workspaces[thread];
        run_some(images + first * input_bytes, results + first * outputs, last - first, own.tensors,
                 [&own](const Step &step, int here) { step({own.tensors, own.scratch, here, 0, 1}); });
    };
    const double all = work * static_cast<double>(count);
    const bool together = count < threads && (eager || all >= 2 * TOGETHER);
    const int64_t most = together ? threads : std::min<int64_t>(threads, count);
    const int used = eager ? most : std::min<double>(most, all / (together ? TOGETHER : ALONE));
    if (used < 2) {
        need_workspaces(1);
        some(0, count, 0);
        return;
    }
    if (helpers && !helpers->here()) helpers.release();  // they are the parent's
    if (!helpers) helpers.reset(new Threads);
    need_workspaces(helpers->need(used));  // whichever of them wakes has one
    if (together) {
        helpers->together(used - 1, [&](const std::function<void(int, const Threads::Work &)> &share) {
            run_some(images, results, count, workspaces[0].tensors, [&](const Step &step, int here) {
                share(used, [&](int part, int thread) {
                    step({workspaces[0].tensors, workspaces[thread].scratch, here, part, used});
                });
            });
        });
        return;
    }
    // Each thread has several turns, if there is enough for that: one that wakes late, or is held up, takes fewer.
    const int64_t each = (count + used - 1) / used,
                  turns = std::max({int64_t{1}, std::min<int64_t>(4, each / LEAST), each / MOST});
    const int parts = static_cast<int>(used * turns);
    helpers->share(parts, used - 1,
                   [&](int part, int thread) { some(count * part / parts, count * (part + 1) / parts, thread); });
}

}  // namespace pcnn_cpu
