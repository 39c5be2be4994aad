// Which part of a workspace each tensor has: two share memory where no layer needs both.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace pcnn_cpu {

class Arena {
  public:
    // The start of `bytes` that nobody else has between the steps `first` and `last`.
    ptrdiff_t place(ptrdiff_t bytes, int first, int last) {
        bytes = (bytes + 127) / 64 * 64;
        std::vector<Part> beside;
        for (const Part &part : parts)
            if (part.first <= last && first <= part.last) beside.push_back(part);
        std::sort(beside.begin(), beside.end(), [](const Part &a, const Part &b) { return a.start < b.start; });
        ptrdiff_t start = 0;
        for (const Part &part : beside) {
            if (start + bytes <= part.start) break;
            start = std::max(start, part.start + part.bytes);
        }
        parts.push_back({start, bytes, first, last});
        all = std::max(all, start + bytes);
        return start;
    }
    ptrdiff_t bytes() const { return all; }

  private:
    struct Part {
        ptrdiff_t start, bytes;
        int first, last;
    };
    std::vector<Part> parts;
    ptrdiff_t all = 0;
};

}  // namespace pcnn_cpu
