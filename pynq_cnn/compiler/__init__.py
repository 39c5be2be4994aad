"""From a Network to a Program: the exact memory image that the accelerator gets (docs/contract/instruction-set.md).

lower         layers -> stages, each a convolution with the pooling that follows it, by kind of layer
tiling        how a stage is cut for the on-chip buffers
estimate      cycles of a stage
packing       constants as words
memory        addresses
encoding      a stage as an instruction
compile       the sequence of these
program       what comes out, and how images go in and results come out
hardware, instructions, registers   the engine's sizes, instruction and registers
"""

from pynq_cnn.compiler.compile import compile_network
from pynq_cnn.compiler.hardware import ISA_VERSION, MAGIC, Hardware
from pynq_cnn.compiler.program import Program

__all__ = ["ISA_VERSION", "MAGIC", "Hardware", "Program", "compile_network"]
