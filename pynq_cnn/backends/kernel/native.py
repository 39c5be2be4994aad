"""The kernel's own source, compiled by g++ when the package was installed, through a C ABI."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pynq_cnn.backends.compiled import compiled_part
from pynq_cnn.compiler.registers import OUTPUTS
from pynq_cnn.errors import BackendError

PHASES = ("setup", "load_weights", "load_input", "compute", "store")


@dataclass(frozen=True, eq=False)
class EngineRun:
    """Registers after one run of the engine, and the cycles it counted (docs/contract/instruction-set.md, sections 7
    and 8).

    Parameters
    ----------
    status, failed_at, magic, isa_version, geometry, buffers, build : int
        The output registers.
    cycles : numpy.ndarray
        uint64 [instructions, phases], an estimate; columns as `PHASES`.
    """

    status: int
    failed_at: int
    magic: int
    isa_version: int
    geometry: int
    buffers: int
    build: int
    cycles: np.ndarray


class Engine:
    """The compiled kernel. Safe to call from several threads, each call with its own memory; the GIL is released
    meanwhile.

    Parameters
    ----------
    path : path
        The shared library.

    Raises
    ------
    BackendError
        If it cannot be loaded.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:
            self._run = ctypes.CDLL(os.fspath(path)).pynq_cnn_engine_run
        except (OSError, AttributeError) as error:
            raise BackendError(f"the compiled kernel {path} cannot be loaded: {error}; reinstall pynq_cnn") from error
        self._run.restype = None
        number, pointer = ctypes.c_uint32, ctypes.c_void_p
        self._run.argtypes = [pointer, number, number, number, number, pointer, pointer, number]

    def run(
        self, memory: int, *, mem_words: int, entry: int, sections: int, images: int, instructions: int = 0
    ) -> EngineRun:
        """Run `sections` sections over `images` images.

        Parameters
        ----------
        memory : int
            Host address, 8-byte aligned, of `mem_words` 64-bit words: what the engine's port sees. The caller keeps the
            memory alive.
        mem_words, entry, sections, images : int
            The registers of these names.
        instructions : int
            How many instructions the sections have, SECTIONs among them, to count the cycles of each; 0 counts none.
        """
        registers = np.zeros(len(OUTPUTS), np.uint32)
        cycles = np.zeros((instructions, len(PHASES)), np.uint64)
        self._run(memory, mem_words, entry, sections, images, registers.ctypes.data, cycles.ctypes.data, instructions)
        return EngineRun(**dict(zip(OUTPUTS, registers.tolist())), cycles=cycles)


@lru_cache(maxsize=1)
def load_engine() -> Engine:
    """The compiled kernel.

    Raises
    ------
    BackendError
        If it was not compiled, or cannot be loaded.
    """
    return Engine(compiled_part("kernel", "_engine", "kernel"))
