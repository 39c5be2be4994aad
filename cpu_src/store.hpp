// Memory of arrays that steps point into, kept as long as the network.
#pragma once

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
    // `count` zeros at a multiple of 64 bytes.
    template <class T>
    T *zeros(size_t count) {
        void *block = nullptr;
        const size_t bytes = (count * sizeof(T) + 127) / 64 * 64;
        blocks.reserve(blocks.size() + 1);
        if (posix_memalign(&block, 64, bytes)) throw std::bad_alloc();
        blocks.push_back(block);
        memset(block, 0, bytes);
        return static_cast<T *>(block);
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
