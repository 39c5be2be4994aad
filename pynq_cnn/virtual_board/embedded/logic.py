"""The programmable logic: what a bitstream puts there, and a thread that plays the engine."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from pynq_cnn.backends.kernel.native import Engine
from pynq_cnn.backends.overlay.design import ENGINE_TYPE
from pynq_cnn.errors import PynqCnnError
from pynq_cnn.virtual_board.embedded.bitfile import Block, read_binfile
from pynq_cnn.virtual_board.embedded.controller import SharedController
from pynq_cnn.virtual_board.embedded.files import FIRMWARE, MANAGER
from pynq_cnn.virtual_board.embedded.memory import SharedMemory, locked, replace_text
from pynq_cnn.virtual_board.engine import run_engine
from pynq_cnn.virtual_board.faults import Faults
from pynq_cnn.virtual_board.registers import AP_DONE, AP_IDLE, AP_READY, AP_START

POLL = 200e-6  # seconds between two looks at the start bit
PATIENCE = 0.01  # seconds between two looks, in a run that lasts, at what may end it


class Logic:
    """The programmable logic of a board, for every process that uses it.

    Parameters
    ----------
    folder : Path
        The board's files.
    memory : SharedMemory
        Where the registers are.
    faults : Faults
        `no_download` is read.
    """

    def __init__(self, folder: Path, memory: SharedMemory, faults: Faults) -> None:
        self.running = folder / "running.lock"  # held while the engine works on memory
        self._folder = folder
        self._memory = memory
        self._faults = faults
        self._design_file = folder / "design.json"
        self._reset_file = folder / "reset"  # is there while a bitstream waits for the end of a run

    @property
    def loads(self) -> list[str]:
        """Names of the bitstreams that were loaded, oldest first."""
        return self._lines("loads")

    @property
    def complaints(self) -> list[str]:
        """Deeds that would have destroyed something without a word on a board, oldest first."""
        return self._lines("complaints")

    def load(self, name: str) -> None:
        """Configure the logic with a file in /lib/firmware, as Linux's FPGA manager does; `OSError` if that fails."""
        state = Path(f"{self._folder}{MANAGER}/state")
        try:
            if self._faults.no_download:
                raise OSError(errno.EIO, "fpga_manager: write failed")
            blocks = read_binfile(Path(f"{self._folder}{FIRMWARE}/{name}").read_bytes())
        except OSError:
            state.write_text("write init error\n")
            raise
        with locked(self._folder / "loading.lock"):
            with locked(self.running, wait=False) as at_rest:
                if not at_rest:
                    self.complain(f"{name} was loaded while the engine was working on memory")
                    self._reset_file.touch()
            try:
                self._configure(blocks)
            finally:
                self._reset_file.unlink(missing_ok=True)
            self._add_line("loads", name)
        state.write_text("operating\n")

    def _configure(self, blocks: list[Block]) -> None:
        with locked(self.running):
            for block in self.design()[1]:
                self._memory.physical(block.address, block.nbytes)[:] = 0
            for block in blocks:
                words = self._memory.physical(block.address, block.nbytes).view("<u4")
                words[:] = 0
                if block.type.startswith(f"{ENGINE_TYPE}:"):
                    words[block.registers["CTRL"] // 4] = AP_IDLE
            replace_text(self._design_file, json.dumps([asdict(block) for block in blocks]))

    def design(self) -> tuple[object, list[Block]]:
        """A value that changes whenever a bitstream is loaded, and what is in the logic."""
        stamp = self.stamp()
        return stamp, [] if stamp is None else [Block(**block) for block in json.loads(self._design_file.read_text())]

    @property
    def reset_asked(self) -> bool:
        """Whether a bitstream is to be loaded over a run."""
        return self._reset_file.exists()

    def stamp(self) -> object:
        """The first of `design`, at less cost; None before the first bitstream."""
        try:
            status = os.stat(self._design_file)
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_ino

    def complain(self, text: str) -> None:
        """Add to `complaints`."""
        self._add_line("complaints", text)

    def _lines(self, name: str) -> list[str]:
        file = self._folder / name
        return file.read_text().splitlines() if file.exists() else []

    def _add_line(self, name: str, text: str) -> None:
        with open(self._folder / name, "a") as file:
            file.write(f"{text}\n")


class EngineThread(threading.Thread):
    """Plays the engines of the design: sees their start bits, runs the compiled kernel, writes outputs and "done".

    Parameters
    ----------
    logic : Logic
        Where the design is.
    memory : SharedMemory
        Registers, and what the engine works on.
    engine : Engine
        The compiled kernel.
    faults : Faults
        Read at every start.
    is_narrow : callable
        Whether S_AXI_HP of this number is 32 bits wide.
    interrupt : callable
        Called when the interrupt line to the processor rises.

    Attributes
    ----------
    run_seconds : float
        How long each run lasts that starts from now on; loading a bitstream ends it, and so does `end_run`.
    at_rest : bool
        Whether no engine is running.
    """

    def __init__(
        self,
        logic: Logic,
        memory: SharedMemory,
        engine: Engine,
        faults: Faults,
        is_narrow: Callable[[int], bool],
        interrupt: Callable[[], None],
    ) -> None:
        super().__init__(name="programmable logic", daemon=True)
        self.run_seconds = 0.0
        self.at_rest = True
        self._logic = logic
        self._memory = memory
        self._engine = engine
        self._faults = faults
        self._is_narrow = is_narrow
        self._interrupt = interrupt
        self._switched_off = threading.Event()
        self._ended = threading.Event()

    def switch_off(self) -> None:
        """End the thread, and the run in progress."""
        self._switched_off.set()
        self.end_run()
        self.join()

    def end_run(self) -> None:
        """Let the run in progress come to its end, however long it was to last."""
        self._ended.set()

    def run(self) -> None:
        stamp: object = None
        engines: list[_Registers] = []
        while not self._switched_off.wait(POLL):
            if self._logic.stamp() != stamp:
                stamp, blocks = self._logic.design()
                engines = [
                    _Registers(block, self._memory, self._interrupt)
                    for block in blocks
                    if block.type.startswith(f"{ENGINE_TYPE}:")
                ]
            for registers in engines:
                if registers.started:
                    with locked(self._logic.running):
                        if self._logic.stamp() == stamp:  # not reset meanwhile
                            self._ended.clear()
                            self.at_rest = False
                            self._execute(registers)
                            self.at_rest = True

    def _execute(self, registers: _Registers) -> None:
        try:
            outputs = run_engine(self._engine, self._memory, self._faults, self._is_narrow, registers.values())
        except (OSError, PynqCnnError) as error:
            self._logic.complain(str(error))
            outputs = None
        end = time.monotonic() + self.run_seconds
        while time.monotonic() < end and not (self._logic.reset_asked or self._switched_off.is_set()):
            if self._ended.wait(PATIENCE):
                break
        if outputs is None or self._logic.reset_asked:
            registers.hung = True
        else:
            registers.finish(outputs)


class _Registers:
    """The registers of one engine."""

    def __init__(self, block: Block, memory: SharedMemory, interrupt: Callable[[], None]) -> None:
        self.hung = False
        self._words = memory.physical(block.address, block.nbytes).view("<u4")
        self._indices = {name: offset // 4 for name, offset in block.registers.items()}
        self._lines = [(SharedController(address, memory, interrupt), line) for address, line in block.interrupts]

    @property
    def started(self) -> bool:
        return bool(self._words[self._indices["CTRL"]] & AP_START) and not self.hung

    def values(self) -> dict[str, int]:
        return {name: int(self._words[index]) for name, index in self._indices.items()}

    def finish(self, outputs: dict[str, int]) -> None:
        for name, value in outputs.items():
            self._words[self._indices[name]] = value
            self._words[self._indices[f"{name}_ctrl"]] = 1
        self._words[self._indices["IP_ISR"]] |= self._words[self._indices["IP_IER"]]
        self._words[self._indices["CTRL"]] = AP_DONE | AP_IDLE | AP_READY  # last: whoever sees it finds the outputs
        if self._words[self._indices["GIER"]] & 1 and self._words[self._indices["IP_ISR"]]:
            for controller, line in self._lines:
                controller.rise(line)
