// What the network gives to an instruction set to run: plain structures, without any code, so that they mean the same
// in files that are compiled for different processors.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pcnn_cpu {

enum Type { BYTES = 0, BITS = 1, INT32 = 2 };  // of a tensor (numerics.md, section 1)

// How one tensor lies in the memory of a workspace. Pixel (y, x) of image n is at
// start + n * image + origin + y * row + x * pixel; before `origin` and behind the last pixel is what layers pad with.
struct View {
    int type, height, width, channels;
    ptrdiff_t start, image, origin, row, pixel;
};

// From an accumulator on (numerics.md, sections 2, 3 and 6). Arrays have a value for every lane of every block, and are
// null where they do not count.
struct Finish {
    int type;
    int32_t zero, low;
    const int32_t *skip;        // k
    const int32_t *multiplier;  // m; if `quick`, m << (Set::fraction - s)
    bool quick;                 // whether all s are such that this is a number of 31 bits
    const int64_t *rounding;    // 1 << (s - 1); in each block in the order of Set::place
    const int64_t *shift;       // s, likewise
    const int32_t *threshold;
};

// Where the results of a layer go, and where its windows lie: byte offsets within an image. `window` pixels that follow
// each other are one pixel of the output, their maximum.
struct Sweep {
    View in, out, skip;
    Finish finish;
    int pixels, window, outputs;
    const ptrdiff_t *in_at, *skip_at;  // [pixels]
    const ptrdiff_t *out_at;           // [pixels / window]
};

// Some blocks of output channels, and the groups of four input bytes that any of them has a weight for.
struct Tile {
    int block, blocks, steps;
    const int32_t *offsets;  // [steps], from where the window lies
    const uint8_t *weights;  // [steps][blocks][Set::cell], of bits [steps][blocks][4 * lanes]
};

// A sum of products over windows, of bytes with weights or of bits with bits.
struct Product {
    Sweep sweep;
    bool bits;
    const Tile *tiles;
    int tile_count;
    const int32_t *bias;     // [lanes of all blocks], of bits one such row for each set of taps inside the image
    const int32_t *bias_at;  // [pixels], which of these rows, in numbers; null where there is one
};

// A sum of products of each channel by itself: depthwise convolution, and average pooling.
struct Channelwise {
    Sweep sweep;
    int taps;
    const int32_t *offsets;  // [taps]
    const int32_t *weights;  // [taps][weight_row]
    ptrdiff_t weight_row;    // 0: the same for every tap
    const int32_t *bias;
};

// A sum of products with few weights, over planes of bytes of which each is one input channel with its border. Every
// weight is one product for a vector of pixels. Of its Finish, each output channel has a block of equal values.
struct SparsePlanes {
    Sweep sweep;  // pixels are those of the output; `in_at` and `skip_at` are not used
    int channels, height, width, top, left, pitch,
        plane;          // of the input; `pitch` of a row and all of a plane with borders
    int rows, columns;  // of the convolution's output
    int pool_h, pool_w;
    const int32_t *first;              // [outputs + 1], into the two below
    const int32_t *offsets, *weights;  // of a weight its input, in the planes, and the weight
    bool fours;                        // four weights at once: a word of `weights` is four of them
    const int32_t *bias;               // [outputs]
    ptrdiff_t planes, sums, ready;     // in the scratch: bytes, int32, bytes
    int ready_row;                     // bytes of one of the 16 output channels that are made ready at once
};

// The same for one pixel: every weight is one product.
struct SparseRows {
    Sweep sweep;
    const int32_t *first;              // [outputs + 1], into the two below
    const int32_t *offsets, *weights;  // of a weight its input, in bytes, and the weight
    const int32_t *bias;               // [lanes of all blocks]
};

struct MaxPool {
    View in, out;
    int size_h, size_w, stride_h, stride_w, top, left;
};

struct Concat {
    View out;
    int count;
    const View *in;
};

// One part of the work of a step: of `parts` that share it, on so many images. Tensors are at `base`; `scratch` is the
// thread's own.
struct Task {
    uint8_t *base, *scratch;
    int images, part, parts;
};

// An instruction set: how it wants weights laid out, and the work itself.
struct Set {
    const char *name;
    bool (*supported)();
    int lanes;         // int32 in a vector
    int rows, blocks;  // windows and vectors of output channels that are worked on at once
    int cell;          // bytes of four weights for each lane; of bits it is four
    int step_cost;     // what such a step takes, to one product for each lane
    int fraction;      // the shift of a multiplier that is quick: see Finish
    bool fours;        // whether it can take four weights at once for planes
    int excess;        // what the set takes off each input byte: its weights, times that, are in the bias
    void (*put)(uint8_t *cell, int lane, int k, int weight);
    int (*place)(int lane);  // of a lane's 64-bit constants among those of its block
    void (*product)(const Product &, const Task &);
    void (*channelwise)(const Channelwise &, const Task &);
    void (*sparse_planes)(const SparsePlanes &, const Task &);
    void (*sparse_rows)(const SparseRows &, const Task &);
    void (*max_pool)(const MaxPool &, const Task &);
    void (*concat)(const Concat &, const Task &);
};

// Those that were compiled, the best first.
extern const Set *const SETS[];
extern const int SET_COUNT;

}  // namespace pcnn_cpu
