// Memory of arrays that steps point into, kept as long as the network.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

namespace pcnn_cpu {

class Store {
  public:
    Store() = default;
    Store(const Store &) = delete;
    Store &operator=(const Store &) = delete;
    ~Store() {
        for (void *block : blocks) free(block);
    }
    // `count` zeros at a multiple of 64 bytes. Of many, the system gives memory where they are touched only.
    template <class T>
    T *zeros(size_t count) {
        if (count > (PTRDIFF_MAX - 128) / sizeof(T)) throw std::bad_alloc();
        blocks.reserve(blocks.size() + 1);
        void *const block = calloc(count * sizeof(T) + 128, 1);
        if (!block) throw std::bad_alloc();
        blocks.push_back(block);
        return reinterpret_cast<T *>((reinterpret_cast<uintptr_t>(block) + 63) / 64 * 64);
    }
    template <class T>
    T *keep(const std::vector<T> &values) {
        T *const to = zeros<T>(values.size());
        if (!values.empty()) memcpy(to, values.data(), values.size() * sizeof(T));
        return to;
    }

  private:
    std::vector<void *> blocks;
};

}  // namespace pcnn_cpu
