"""A start of the engine: the compiled kernel on a board's memory."""

from __future__ import annotations

import errno
from collections.abc import Callable

from pynq_cnn.backends.kernel.native import Engine
from pynq_cnn.compiler.registers import OUTPUTS, POINTER, SCALARS
from pynq_cnn.virtual_board.faults import Faults
from pynq_cnn.virtual_board.memory import ContiguousMemory

PORT = 0  # of S_AXI_HP0..3, the one that the engine is on


def run_engine(
    engine: Engine, memory: ContiguousMemory, faults: Faults, is_narrow: Callable[[int], bool], inputs: dict[str, int]
) -> dict[str, int] | None:
    """Run the engine as its start bit does.

    Parameters
    ----------
    engine : Engine
        The compiled kernel.
    memory : ContiguousMemory
        The memory that its port sees.
    faults : Faults
        The faults to play.
    is_narrow : callable
        Whether S_AXI_HP of this number is 32 bits wide.
    inputs : dict
        The input registers, by name.

    Returns
    -------
    dict or None
        The output registers, by name; None from an engine that never finishes.

    Raises
    ------
    OSError
        For a bus error.
    """
    if faults.never_done:
        return None
    touches_memory = inputs["sections"] > 0
    if touches_memory and faults.bus_error:
        raise OSError(errno.EFAULT, "Bus error: the memory answered with an error")
    start = _start(memory, is_narrow, inputs) if touches_memory else 0
    run = engine.run(start, **{name: inputs[name] for name in SCALARS})
    return {**{name: getattr(run, name) for name in OUTPUTS}, **faults.overrides()}


def _start(memory: ContiguousMemory, is_narrow: Callable[[int], bool], inputs: dict[str, int]) -> int:
    """Where in this process the memory is that the engine's port is pointed at."""
    if is_narrow(PORT):
        raise OSError(errno.EFAULT, f"Bus error: S_AXI_HP{PORT} is 32 bits wide, and the engine's port 64")
    address = inputs[f"{POINTER}_1"] | inputs[f"{POINTER}_2"] << 32
    if address % 8:
        raise OSError(errno.EFAULT, f"Bus error: {address:#x} is not aligned to 8 bytes")
    return int(memory.device(address, 8 * inputs["mem_words"]).__array_interface__["data"][0])
