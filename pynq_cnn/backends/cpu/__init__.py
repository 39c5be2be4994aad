"""The execution for this machine's CPU: compiled, with its vector instructions, equal to the reference in every bit.

conv2d, dense, binary, maxpool, avgpool, concat   each kind of layer as words of a plan, registered in `plan`
plan     a network in words, as `cpu_src/` reads it
native   the compiled `cpu_src/`, through a C ABI
backend  a network on it
"""

from pynq_cnn.backends.cpu.backend import CpuBackend

__all__ = ["CpuBackend"]
