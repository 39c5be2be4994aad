"""From a Network to a Program: the exact memory image that the accelerator gets (docs/contract/instruction-set.md).

lower         layers -> steps of stages, by kind of layer
stage         a stage, what one COMPUTE does; buffers: the feature maps that it takes and gives
limits        what an instruction can say
passes        some of a stage's output channels; tiles: some of its rows
segment       stages whose tensors stay on the chip, as sections of instructions; ways: how they can be run
schedule      where a network is cut into segments
memory        places, on the chip and in memory
encoding      instructions for what has a place; packing: constants as words
estimate      cycles and traffic of instructions; host: the host's share
compile       the sequence of these
program       what comes out, and how images go in and results come out; listing: as text
hardware, instructions, registers   the engine's sizes, instructions and registers
"""

from pynq_cnn.compiler.compile import compile_network
from pynq_cnn.compiler.hardware import ISA_VERSION, MAGIC, Hardware
from pynq_cnn.compiler.program import Program

__all__ = ["ISA_VERSION", "MAGIC", "Hardware", "Program", "compile_network"]
