"""The Program: what is copied into the accelerator's memory, and where images go in and results come out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pynq_cnn.compiler.hardware import Hardware
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model.layers import Shape


@dataclass(frozen=True, eq=False)
class Program:
    """A compiled network (docs/instruction-set.md, section 1). Addresses and sizes are in 64-bit words from its start.

    Parameters
    ----------
    constants : numpy.ndarray
        uint64 [constant_words]: instructions and packed weights, written once at the start of the memory.
    memory_words : int
        Length of the whole memory, activation buffers included.
    capacity : int
        Most images of one run.
    program, instructions : int
        Address of the first instruction, and how many there are.
    instruction_names : tuple of str
        The layers that each instruction computes.
    input_address, input_stride, input_shape
        Where image 0 goes, words from one image to the next, (height, width, channels).
    output_address, output_stride, outputs
        Where the int32 results of image 0 come out, words from one image to the next, how many there are.
    hardware : Hardware
        What it was compiled for.
    """

    constants: np.ndarray
    memory_words: int
    capacity: int
    program: int
    instructions: int
    instruction_names: tuple[str, ...]
    input_address: int
    input_stride: int
    input_shape: Shape
    output_address: int
    output_stride: int
    outputs: int
    hardware: Hardware

    def _batch(self, memory: np.ndarray, n: int, address: int, stride: int) -> np.ndarray:
        """The bytes of `n` images' activations, uint8 [n, stride * 8], as a view of `memory`."""
        if memory.dtype != np.uint64 or memory.shape != (self.memory_words,) or not memory.flags.c_contiguous:
            raise ArgumentError(
                f"the memory must be a contiguous uint64 array of {self.memory_words} words, not {memory.dtype} {memory.shape}"
            )
        if not 1 <= n <= self.capacity:
            raise ArgumentError(f"this Program takes 1 to {self.capacity} images, not {n}; compile it for a larger batch")
        return np.asarray(memory)[address : address + n * stride].view(np.uint8).reshape(n, stride * 8)

    def write_images(self, memory: np.ndarray, images: np.ndarray) -> None:
        """Put a batch where the Program reads it.

        Parameters
        ----------
        memory : numpy.ndarray
            uint64 [memory_words], changed in place.
        images : numpy.ndarray
            uint8 [n, height, width, channels], 1 <= n <= capacity.

        Raises
        ------
        ArgumentError
            For another shape or dtype.
        """
        if images.dtype != np.uint8 or images.shape[1:] != self.input_shape:
            raise ArgumentError(f"images must be uint8 {self.input_shape} each, not {images.dtype} {images.shape[1:]}")
        target = self._batch(memory, len(images), self.input_address, self.input_stride)
        target[:, : int(np.prod(self.input_shape))] = images.reshape(len(images), -1)

    def read_accumulators(self, memory: np.ndarray, n: int) -> np.ndarray:
        """The results of `n` images, int32 [n, outputs]: a copy, never a view of `memory`."""
        return self._batch(memory, n, self.output_address, self.output_stride).view(np.int32)[:, : self.outputs].copy()
