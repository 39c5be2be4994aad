// A network opened for an instruction set: its steps in order, and workspaces to run them in.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "plan.hpp"
#include "step.hpp"
#include "store.hpp"
#include "threads.hpp"

namespace pcnn_cpu {

class Network {
  public:
    // `threads` from 1; `batch` images at most are worked on at once. `eager` threads help with the least work too.
    Network(const Plan &plan, const Set &set, int threads, int batch, bool eager);
    ~Network();
    // int32 [images][outputs] of uint8 [images][height][width][channels]. One call at a time.
    void run(const uint8_t *images, int32_t *results, int64_t count);

  private:
    typedef std::function<void(const Task &)> Step;

    void place_tensors(const Plan &plan);
    void add_layer(const Plan &plan, int layer);
    void add_convolution(const Plan &plan, int layer);
    void add_binary(const Plan &plan, int layer);
    void add_channelwise(const Plan &plan, int layer, bool average);
    void add_max_pool(const Plan &plan, int layer);
    void add_concat(const Plan &plan, int layer);
    bool add_sparse(const Plan &plan, int layer, const Product &product);
    void add_border(const Plan &plan, int tensor);
    Sweep sweep_of(const Plan &plan, int layer, std::vector<std::pair<int, int>> *at);
    int last_tensor(int layer) const { return fused[layer] ? fused[layer] : layer + 1; }

    void need_workspaces(int count);
    template <class Each>
    void run_some(const uint8_t *images, int32_t *results, int64_t count, uint8_t *base, const Each &each);

    struct Border {
        int top, left, bottom, right;
    };
    const Set &set;
    const int threads, batch;
    const bool eager;
    Store store;
    std::vector<View> views;      // of the plan's tensors
    std::vector<Border> borders;  // around them
    std::vector<int> fused;       // of a layer, the tensor of the pooling that is part of it; 0: none
    std::vector<char> absorbed;   // poolings that are part of the layer before
    std::vector<Step> steps;
    struct Workspace {
        uint8_t *tensors, *scratch;
    };
    int chunk = 1;                                  // images at once
    double work = 0;                                // of an image, about what a thread does in so many cycles
    ptrdiff_t tensor_bytes = 0, scratch_bytes = 0;  // of a workspace
    int input_bytes = 0;
    std::vector<Workspace> workspaces;                       // of each thread
    std::vector<std::function<void(uint8_t *)>> beginnings;  // what new scratch gets
    std::unique_ptr<Threads> helpers;
};

}  // namespace pcnn_cpu
