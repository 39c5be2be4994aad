// A network as pynq_cnn/backends/cpu/plan.py writes it: 32-bit words, little-endian.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <vector>

namespace pcnn_cpu {

enum Kind { CONV = 1, BINARY = 2, MAX_POOL = 3, AVG_POOL = 4, CONCAT = 5 };

struct Tensor {
    int type, height, width, channels;
    std::vector<uint8_t> zero;  // [1] or [channels]
};

// A layer's constants, where they lie in the plan.
struct Layer {
    int kind;
    std::vector<int> inputs;  // tensors; a skip is the last
    int kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1, groups = 1;
    int top = 0, left = 0, bottom = 0, right = 0;
    const int8_t *weights = nullptr;    // [out][kernel_h][kernel_w][in / groups]
    const uint32_t *bits = nullptr;     // [out][kernel_h][kernel_w][words of 32 bits]
    const int32_t *bias = nullptr;      // [out], of average pooling one
    int finish = 2, zero = 0, low = 0;  // a Type
    const int32_t *multiplier = nullptr, *shift = nullptr, *threshold = nullptr, *skip = nullptr;  // [out]
};

struct Plan {
    std::vector<Tensor> tensors;  // the input, then what each layer gives
    std::vector<Layer> layers;
};

class Words {
  public:
    Words(const int32_t *from, int64_t count) : at(from), end(from + count) {}
    int next() { return *take(1); }
    const int32_t *take(int64_t count) {
        if (count < 0 || count > end - at) throw std::runtime_error("the plan ends early");
        const int32_t *from = at;
        at += count;
        return from;
    }
    const void *octets(int64_t count) { return take((count + 3) / 4); }
    bool done() const { return at == end; }

  private:
    const int32_t *at, *end;
};

enum { MAGIC = 0x43504331 };

inline Tensor read_tensor(Words &words) {
    Tensor tensor;
    tensor.type = words.next();
    tensor.height = words.next();
    tensor.width = words.next();
    tensor.channels = words.next();
    for (int n = words.next(); n > 0; --n) tensor.zero.push_back(static_cast<uint8_t>(words.next()));
    return tensor;
}

inline void read_finish(Words &words, Layer &layer, int outputs) {
    layer.finish = words.next();
    if (layer.finish == 0) {
        layer.zero = words.next();
        layer.low = words.next();
        layer.multiplier = words.take(outputs);
        layer.shift = words.take(outputs);
    } else if (layer.finish == 1) {
        layer.threshold = words.take(outputs);
    }
}

inline void read_window(Words &words, Layer &layer) {
    int *const fields[] = {&layer.kernel_h, &layer.kernel_w, &layer.stride_h, &layer.stride_w,
                           &layer.top,      &layer.left,     &layer.bottom,   &layer.right};
    for (int *field : fields) *field = words.next();
}

inline Plan read_plan(const int32_t *from, int64_t count) {
    Words words(from, count);
    if (words.next() != MAGIC) throw std::runtime_error("no plan");
    Plan plan;
    const int layers = words.next();
    plan.tensors.push_back(read_tensor(words));
    for (int i = 0; i < layers; ++i) {
        Layer layer;
        layer.kind = words.next();
        for (int n = words.next(); n > 0; --n) {
            layer.inputs.push_back(words.next());
            if (layer.inputs.back() < 0 || layer.inputs.back() > i)
                throw std::runtime_error("a layer takes what is behind it");
        }
        plan.tensors.push_back(read_tensor(words));
        const int outputs = plan.tensors.back().channels, inputs = plan.tensors[layer.inputs.at(0)].channels;
        if (layer.kind != CONCAT) read_window(words, layer);
        if (layer.kind == CONV) {
            layer.dilation_h = words.next();
            layer.dilation_w = words.next();
            layer.groups = words.next();
            layer.weights = static_cast<const int8_t *>(words.octets(static_cast<int64_t>(outputs) * layer.kernel_h *
                                                                     layer.kernel_w * (inputs / layer.groups)));
            layer.bias = words.take(outputs);
            if (words.next()) layer.skip = words.take(outputs);
        } else if (layer.kind == BINARY) {
            layer.bits = static_cast<const uint32_t *>(words.octets(static_cast<int64_t>(outputs) * layer.kernel_h *
                                                                    layer.kernel_w * ((inputs + 63) / 64 * 8)));
        } else if (layer.kind == AVG_POOL) {
            layer.bias = words.take(1);
        }
        if (layer.kind == CONV || layer.kind == BINARY || layer.kind == AVG_POOL) read_finish(words, layer, outputs);
        plan.layers.push_back(layer);
    }
    if (!words.done()) throw std::runtime_error("the plan goes on behind its end");
    return plan;
}

}  // namespace pcnn_cpu
