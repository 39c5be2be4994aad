"""From a Network to a Program: the exact memory image that the accelerator gets (docs/instruction-set.md)."""

from pynq_cnn.compiler.compile import compile_network
from pynq_cnn.compiler.hardware import ISA_VERSION, MAGIC, Hardware
from pynq_cnn.compiler.program import Program

__all__ = ["ISA_VERSION", "MAGIC", "Hardware", "Program", "compile_network"]
