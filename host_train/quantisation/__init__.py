"""From a trained PyTorch network to the integers of docs/contract/numerics.md.

graph        layers of which one may take what several others give: what every step takes and makes
fold         batch norm goes into weights, dropout is removed, sums become bytes behind each layer
normalise    the steps of folding
calibrate    the step and zero point of all bytes; weights on an int8 grid, still in floating point
(fit)        quantisation-aware training of that, if wanted
to_network   the same in integers
bits         a binary network in integers: its blocks, and their thresholds
layers       the kinds of layers, each with its part in all of that
"""
