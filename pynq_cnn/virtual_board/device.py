"""The emulated PYNQ-Z2 as the pynq library sees one: a `pynq.Device`."""

from __future__ import annotations

import errno
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pynq
from pynq.buffer import PynqBuffer
from pynq.metadata.runtime_metadata_parser import RuntimeMetadataParser
from pynqmetadata.frontends import Metadata

from pynq_cnn.backends.kernel.native import Engine
from pynq_cnn.backends.overlay.design import ENGINE_TYPE
from pynq_cnn.virtual_board.engine import run_engine
from pynq_cnn.virtual_board.faults import Faults
from pynq_cnn.virtual_board.memory import Allocation, ContiguousMemory
from pynq_cnn.virtual_board.registers import InterruptController, KernelRegisters, PlainRegisters, RegisterBlock
from pynq_cnn.virtual_board.uio import UioDevice

# The Zynq-7000's own registers (UG585): clocks and ports as the PYNQ-Z2 starts with them.
SLCR, SLCR_BYTES = 0xF800_0000, 0x1000
CLOCKS = {
    0x100: 26 << 12,  # ARM PLL: 26 x 50 MHz
    0x104: 21 << 12,  # DDR PLL
    0x108: 20 << 12,  # IO PLL: 1000 MHz
    0x120: 2 << 8,  # CPU: ARM PLL / 2
    **{0x170 + 0x10 * i: 2 << 20 | 5 << 8 for i in range(4)},  # FCLK0..3: IO PLL / 5 / 2
}
# One block for each of S_AXI_HP0..3; bit 0: 32 bits wide.
AFI, AFI_BYTES, AFI_READ, AFI_WRITE = (
    0xF800_8000,
    0x1000,
    0x00,
    0x14,
)


class VirtualDevice(pynq.Device):
    """A Zynq-7020 whose programmable logic is emulated. It defines no `_probe_`, so pynq never finds it by itself.

    Parameters
    ----------
    tag : str
        Unique name.
    memory : ContiguousMemory
        Where buffers live.
    engine : Engine
        The compiled kernel that the start bit runs.
    faults : Faults
        Read at every step; may be changed at any time.
    busy_reads : int
        How often a running engine answers "busy".
    """

    def __init__(self, tag: str, memory: ContiguousMemory, engine: Engine, faults: Faults, busy_reads: int) -> None:
        super().__init__(tag)
        self.name = "virtual PYNQ-Z2"
        self.arch = "armv7l"
        self.capabilities = {"REGISTER_RW": True}
        self.memory = memory
        self.downloads = 0
        self._engine = engine
        self._faults = faults
        self._busy_reads = busy_reads
        self._processor: list[tuple[int, int, RegisterBlock]] = [(SLCR, SLCR_BYTES, PlainRegisters(CLOCKS))]
        self._processor += [(AFI + AFI_BYTES * i, AFI_BYTES, PlainRegisters()) for i in range(4)]
        self._logic: list[tuple[int, int, RegisterBlock]] = []
        self._uio: list[UioDevice] = []

    # Called by pynq.Overlay.

    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> RuntimeMetadataParser:
        """The parsed `.hwh` next to the bitstream."""
        if partial:
            raise RuntimeError("the virtual board has no partial reconfiguration")
        hwh = Path(bitfile_name).with_suffix(".hwh")
        if not hwh.is_file():
            raise RuntimeError(f"no {hwh.name} next to {bitfile_name}")
        return RuntimeMetadataParser(Metadata(input=str(hwh)))

    def download(self, bitstream: pynq.Bitstream, parser: RuntimeMetadataParser | None = None) -> None:
        """Replace the programmable logic: everything in it starts anew."""
        if self._faults.no_download:
            raise OSError(errno.EIO, "fpga_manager: write failed")
        if parser is None:
            raise RuntimeError("the virtual board needs the .hwh of a bitstream; use pynq.Overlay")
        self.reset_logic()
        controllers = {}
        for name, entry in parser.interrupt_controllers.items():
            uio = UioDevice(entry["raw_irq"])
            self._uio.append(uio)
            controllers[name] = InterruptController(uio.signal)
            self._place(parser.ip_dict[name], controllers[name])
        for details in parser.ip_dict.values():
            if (details["type"] or "").startswith(f"{ENGINE_TYPE}:"):
                lines = [
                    (controllers[pin["controller"]], pin["index"]) for pin in details.get("interrupts", {}).values()
                ]

                def interrupt(lines: list[tuple[InterruptController, int]] = lines) -> None:
                    for controller, line in lines:
                        controller.rise(line)

                self._place(details, KernelRegisters(details["registers"], self._execute, self._busy_reads, interrupt))
        self.downloads += 1
        self.post_download(bitstream, parser, self.name)

    def _place(self, details: dict[str, Any], block: RegisterBlock) -> None:
        self._logic.append((details["phys_addr"], details["addr_range"], block))

    def reset_logic(self) -> None:
        """Take everything out of the programmable logic, as after power-up."""
        self._logic = []
        while self._uio:
            self._uio.pop().close()

    def loaded_past_pynq(self, blocks: list[tuple[int, int, RegisterBlock]]) -> None:
        """Another program loads a design: this process's pynq hears nothing of it.

        Parameters
        ----------
        blocks : list of (int, int, RegisterBlock)
            First address, bytes and registers of each of its IPs.
        """
        self.reset_logic()
        self._logic = list(blocks)

    @property
    def register_accesses(self) -> Counter[tuple[str, str]]:
        """Accesses to the registers of the engines that are loaded, since they were, by ("read" or "write", name)."""
        return sum((block.accesses for _, _, block in self._logic if isinstance(block, KernelRegisters)), Counter())

    # Called by pynq.MMIO.

    def read_registers(self, address: int, length: int) -> bytes:
        """`length` bytes, whole words; `OSError` where nothing answers."""
        words = []
        for at in range(address, address + length, 4):
            base, block = self._locate(at)
            words.append(block.read(at - base))
        return np.array(words, "<u4").tobytes()

    def write_registers(self, address: int, data: bytes) -> None:
        """Whole words; `OSError` where nothing answers."""
        for i, word in enumerate(np.frombuffer(data, "<u4").tolist()):
            base, block = self._locate(address + 4 * i)
            block.write(address + 4 * i - base, word)

    # Called by pynq.allocate and PynqBuffer.

    def allocate(self, shape: int | tuple[int, ...], dtype: Any, **_: Any) -> PynqBuffer:
        """A buffer in contiguous memory; `RuntimeError` if there is not enough of it."""
        count = int(np.prod(shape, dtype=np.int64))
        dtype = np.dtype(dtype)
        if self._faults.no_memory:
            raise RuntimeError(f"Allocate failed: {count * dtype.itemsize} bytes")
        piece = self.memory.allocate(count * dtype.itemsize)
        buffer = PynqBuffer(
            shape, dtype, buffer=piece.host, device=self, device_address=piece.address, bo=piece, coherent=False
        )
        buffer.memory = self.memory
        buffer.pointer, buffer.return_to = piece, self  # makes freebuffer() call return_pointer(), once
        buffer.freed = True  # and never munmap(): this is no mapped memory
        return buffer

    def return_pointer(self, piece: Allocation) -> None:
        """Free what `allocate` gave."""
        self.memory.free(piece)

    def flush(self, bo: Allocation, offset: int, ptr: int, size: int) -> None:
        """Processor to device."""
        self.memory.flush(bo, offset, size)

    def invalidate(self, bo: Allocation, offset: int, ptr: int, size: int) -> None:
        """Device to processor."""
        self.memory.invalidate(bo, offset, size)

    # The engine.

    def _execute(self, inputs: dict[str, int]) -> dict[str, int] | None:
        return run_engine(self._engine, self.memory, self._faults, self._is_narrow, inputs)

    def _is_narrow(self, port: int) -> bool:
        return any(self._processor[1 + port][2].read(offset) & 1 for offset in (AFI_READ, AFI_WRITE))

    def _locate(self, address: int) -> tuple[int, RegisterBlock]:
        for base, size, block in (*self._processor, *self._logic):
            if base <= address < base + size:
                return base, block
        raise OSError(errno.EFAULT, f"Bus error: nothing answers at {address:#x}")
