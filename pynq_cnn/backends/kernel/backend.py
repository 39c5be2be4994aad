"""The kernel backend: the source of the FPGA design, compiled for this machine, on the memory image that the board
gets.
"""

from __future__ import annotations

from time import perf_counter

import numpy as np

from pynq_cnn.backends.base import Backend
from pynq_cnn.backends.kernel.native import PHASES, Engine, load_engine
from pynq_cnn.compiler import Hardware, compile_network
from pynq_cnn.errors import BackendError
from pynq_cnn.model import Network


class KernelBackend(Backend):
    """Runs a network's Program on the compiled kernel.

    Parameters
    ----------
    network : Network
        The network to run.
    batch : int
        Images of one run of the Program.
    engine : Engine, optional
        Another build of the kernel than the installed one.

    Attributes
    ----------
    program : Program
        The program that it executes.
    last_cycles : numpy.ndarray
        uint64 [instructions, phases], the cycles counted in the last `run`, summed over its batches: an estimate.

    Raises
    ------
    BackendError
        If the kernel was not compiled.
    CompileError
        If a layer does not fit the engine.
    """

    name = "kernel"

    def __init__(self, network: Network, batch: int = 64, *, engine: Engine | None = None) -> None:
        super().__init__(network, batch)
        self._engine = engine or load_engine()
        identity = self._engine.run(0, mem_words=0, entry=0, sections=0, images=0)
        self.program = compile_network(
            network, hardware=Hardware.from_registers(identity.geometry, identity.buffers), capacity=self.batch
        )
        self._memory = np.zeros(self.program.memory_words, np.uint64)
        self._memory[: len(self.program.constants)] = self.program.constants
        self.last_cycles = np.zeros((self.program.instructions, len(PHASES)), np.uint64)

    def run(self, images: np.ndarray) -> np.ndarray:
        with self._lock:
            self.last_cycles = np.zeros_like(self.last_cycles)
            return super().run(images)

    def _run(self, images: np.ndarray) -> np.ndarray:
        program, address = self.program, self._memory.ctypes.data
        mark = perf_counter()
        program.write_images(self._memory, images)
        mark = self._spent("pack", mark)
        done = self._engine.run(
            address,
            mem_words=program.memory_words,
            entry=program.slots[0].entry,
            sections=program.sections,
            images=len(images),
            instructions=program.instructions,
        )
        if done.status:
            raise BackendError(
                f"the kernel stopped with status {done.status} at {program.instruction_names[done.failed_at]}: a bug in"
                " the compiler"
            )
        self.last_cycles += done.cycles
        mark = self._spent("run", mark)
        accumulators = program.read_accumulators(self._memory, len(images))
        self._spent("unpack", mark)
        return accumulators
