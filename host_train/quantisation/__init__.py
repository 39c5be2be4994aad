"""From a trained PyTorch network to the integers of docs/contract/numerics.md.

fold         batch norm goes into the layer before it, dropout is removed: Conv2d, Linear, ReLU, pooling, Flatten remain
calibrate    the step of each ReLU's and average's output bytes; weights on an int8 grid, still in floating point
(fit)        quantisation-aware training of that, if wanted
to_network   the same in integers
bits         a binary network in integers: its blocks, and their thresholds
layers       the kinds of layers, each with its part in all of that
"""
