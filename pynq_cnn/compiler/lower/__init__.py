"""From a network to steps of stages, by kind of layer.

conv2d, dense, binary, maxpool, avgpool, concat   the kinds, each with its own rule
rule          how a rule is found, and what it is given
network       layer after layer
homes         where each tensor lies, concatenated ones side by side
byte_kernel   convolution of bytes, neighbouring columns as channels where that is faster
gather        rows as channels, for convolutions of few channels
bit_kernel    convolution of bits
lane_kernel   a lane for each channel: depthwise convolution, poolings, copies
sparse_kernel a lane for each image
finish        what follows the accumulators
"""

from pynq_cnn.compiler.lower.network import lower

__all__ = ["lower"]
