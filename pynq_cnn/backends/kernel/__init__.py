"""The FPGA design's own source, compiled for this machine.

backend  a network on it, on the memory image that the board gets
native   the compiled source, through a C ABI
"""

from pynq_cnn.backends.kernel.backend import KernelBackend

__all__ = ["KernelBackend"]
