"""Lowering: the network's layers become stages, each a convolution with the pooling that follows it.

conv2d, dense, maxpool, avgpool, binary   the rule of each kind of layer, registered in `rule.add`
diagonal   convolutions that keep channels apart
network    a network, layer after layer
"""

from pynq_cnn.compiler.lower.network import lower

__all__ = ["lower"]
