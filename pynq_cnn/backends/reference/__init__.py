"""The reference: NumPy, written from docs/contract/numerics.md and nothing else. It is the oracle the other executions
are compared with.

conv2d, dense, binary, maxpool, avgpool, concat   the work of each kind of layer, registered in `execution`
exact_matrix   exact integer products in floating point
im2col         windows, and convolution as a product of matrices
finish         accumulators to bytes or bits
backend        a network, layer after layer
"""

from pynq_cnn.backends.reference.backend import ReferenceBackend
from pynq_cnn.backends.reference.exact_matrix import ExactMatrix
from pynq_cnn.backends.reference.finish import requantise
from pynq_cnn.backends.reference.im2col import convolve

__all__ = ["ExactMatrix", "ReferenceBackend", "convolve", "requantise"]
