"""The Program: what is copied into the accelerator's memory, and where images go in and results come out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pynq_cnn.compiler.hardware import Hardware
from pynq_cnn.compiler.instructions import INSTRUCTION_WORDS, Instruction
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model.description import short_repr
from pynq_cnn.model.tensor import Shape

# Stands in the first results of the last image until the engine has written there: two accumulators at the very edge of
# int32.
UNWRITTEN = 0x8000_0000_8000_0001


@dataclass(frozen=True)
class Slot:
    """A place for a batch: while the engine works on one, the host fills or empties the other.

    Parameters
    ----------
    entry : int
        Address of the first of the instructions that work on this slot.
    input_address, output_address : int
        Where image 0 goes, and where its results come out.
    """

    entry: int
    input_address: int
    output_address: int


@dataclass(frozen=True, eq=False, repr=False)
class Program:
    """A compiled network (docs/contract/instruction-set.md, section 1). Addresses and sizes are in 64-bit words from
    its start.

    Parameters
    ----------
    constants : numpy.ndarray
        uint64 [constant_words]: instructions and packed weights, written once at the start of the memory.
    memory_words : int
        Length of the whole memory, activation buffers included.
    capacity : int
        Most images of one run.
    slots : tuple of Slot
        The two places for a batch.
    instructions : int
        How many instructions each slot has.
    sections : int
        How many of them start a section.
    instruction_names : tuple of str
        The layer that each instruction is for; of constants of several, all.
    input_stride, input_shape
        Words from one image to the next, (height, width, channels).
    output_stride, outputs
        Words from the int32 results of one image to those of the next, how many there are.
    hardware : Hardware
        What it was compiled for.
    cycles : int
        Estimated cycles of a run of `capacity` images.
    """

    constants: np.ndarray
    memory_words: int
    capacity: int
    slots: tuple[Slot, Slot]
    instructions: int
    sections: int
    instruction_names: tuple[str, ...]
    input_stride: int
    input_shape: Shape
    output_stride: int
    outputs: int
    hardware: Hardware
    cycles: int

    __repr__ = short_repr

    def decode(self, slot: int = 0) -> list[Instruction]:
        """The instructions of a slot, from the words themselves."""
        start = self.slots[slot].entry
        words = self.constants[start : start + self.instructions * INSTRUCTION_WORDS]
        octets = words.view(np.uint8).reshape(self.instructions, -1)
        return [Instruction.decode(one, layer) for one, layer in zip(octets, self.instruction_names)]

    def _batch(self, memory: np.ndarray, n: int, address: int, stride: int) -> np.ndarray:
        """The bytes of `n` images' activations, uint8 [n, stride * 8], as a view of `memory`."""
        if memory.dtype != np.uint64 or memory.shape != (self.memory_words,) or not memory.flags.c_contiguous:
            raise ArgumentError(
                f"the memory must be a contiguous uint64 array of {self.memory_words} words, not {memory.dtype}"
                f" {memory.shape}"
            )
        if not 1 <= n <= self.capacity:
            raise ArgumentError(
                f"this Program takes 1 to {self.capacity} images, not {n}; compile it for a larger batch"
            )
        return np.asarray(memory)[address : address + n * stride].view(np.uint8).reshape(n, stride * 8)

    def write_images(self, memory: np.ndarray, images: np.ndarray, slot: int = 0) -> None:
        """Put a batch where the Program reads it, and mark its results as not written yet.

        Parameters
        ----------
        memory : numpy.ndarray
            uint64 [memory_words], changed in place.
        images : numpy.ndarray
            uint8 [n, height, width, channels], 1 <= n <= capacity.
        slot : {0, 1}
            Which of the slots.

        Raises
        ------
        ArgumentError
            For another shape or dtype.
        """
        if images.dtype != np.uint8 or images.shape[1:] != self.input_shape:
            raise ArgumentError(f"images must be uint8 {self.input_shape} each, not {images.dtype} {images.shape[1:]}")
        n = len(images)
        target = self._batch(memory, n, self.slots[slot].input_address, self.input_stride)
        target[:, : int(np.prod(self.input_shape))] = images.reshape(n, -1)
        memory[self._mark(n, slot)] = UNWRITTEN

    def written(self, memory: np.ndarray, n: int, slot: int = 0) -> bool:
        """Whether the engine has written the results of `n` images since `write_images`."""
        return int(memory[self._mark(n, slot)]) != UNWRITTEN

    def read_accumulators(self, memory: np.ndarray, n: int, slot: int = 0) -> np.ndarray:
        """The results of `n` images, int32 [n, outputs]: a copy, never a view of `memory`."""
        results = self._batch(memory, n, self.slots[slot].output_address, self.output_stride)
        return results.view(np.int32)[:, : self.outputs].copy()

    def fresh(self, n: int, slot: int) -> slice:
        """The words that `write_images` has changed, and few besides: what has to be flushed."""
        return slice(self._mark(n, slot), self.slots[slot].input_address + n * self.input_stride)

    def results(self, n: int, slot: int) -> slice:
        """The words that hold the results: what has to be invalidated."""
        start = self.slots[slot].output_address
        return slice(start, start + n * self.output_stride)

    def _mark(self, n: int, slot: int) -> int:
        return self.slots[slot].output_address + (n - 1) * self.output_stride
