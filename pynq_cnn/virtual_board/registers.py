"""Register blocks: plain words, and an HLS kernel's control registers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

AP_START, AP_DONE, AP_IDLE, AP_READY = 1 << 0, 1 << 1, 1 << 2, 1 << 3

# Given the input registers by name, the outputs by name; None from an engine that never finishes; OSError for a bus
# error.
Execute = Callable[[dict[str, int]], "dict[str, int] | None"]


class RegisterBlock(Protocol):
    """Something that answers 32-bit reads and writes at byte offsets."""

    def read(self, offset: int) -> int:
        """The word at `offset`."""

    def write(self, offset: int, value: int) -> None:
        """Write `value` to the word at `offset`."""


class PlainRegisters:
    """Words that keep what is written to them, such as the processor's own clock registers.

    Parameters
    ----------
    values : dict, optional
        Values at power-up, by byte offset; 0 elsewhere.

    Examples
    --------
    >>> block = PlainRegisters({8: 5})
    >>> block.write(4, 3)
    >>> block.read(0), block.read(4), block.read(8)
    (0, 3, 5)
    """

    def __init__(self, values: dict[int, int] | None = None) -> None:
        self._words = dict(values or {})

    def read(self, offset: int) -> int:
        return self._words.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        self._words[offset] = value


class InterruptController:
    """The registers of an AXI interrupt controller (PG099), of which pynq's and this package's drivers use these.

    Parameters
    ----------
    signal : callable
        Called when the line to the processor rises.

    Examples
    --------
    >>> calls = []
    >>> block = InterruptController(lambda: calls.append("now"))
    >>> block.write(InterruptController.IER, 1)
    >>> block.write(InterruptController.MER, 3)
    >>> block.rise(0)
    >>> calls, block.read(InterruptController.IPR)
    (['now'], 1)
    """

    ISR, IPR, IER, IAR, SIE, CIE, MER = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x1C

    def __init__(self, signal: Callable[[], None]) -> None:
        self._signal = signal
        self._pending = self._enabled = self._master = 0

    def rise(self, line: int) -> None:
        """An interrupt comes on a line."""
        self._pending |= 1 << line
        if self._pending & self._enabled and self._master & 3 == 3:
            self._signal()

    def read(self, offset: int) -> int:
        pending = self._pending & self._enabled
        return {self.ISR: self._pending, self.IPR: pending, self.IER: self._enabled, self.MER: self._master}.get(
            offset, 0
        )

    def write(self, offset: int, value: int) -> None:
        if offset == self.IER:
            self._enabled = value
        elif offset == self.SIE:
            self._enabled |= value
        elif offset == self.CIE:
            self._enabled &= ~value
        elif offset == self.IAR:
            self._pending &= ~value
        elif offset == self.MER:
            self._master = value & 3


class KernelRegisters:
    """The `s_axilite` registers of a Vitis HLS kernel under `ap_ctrl_hs`, at the offsets that a `.hwh` gives.

    `ap_done` and `ap_ready` clear on read; `ap_start` stays until the run is over; a write to an output, or to an
    offset that holds nothing, changes nothing; an output's `ap_vld` bit is set by a run and clears on read; the
    interrupt status follows its enable bits and toggles on write. Restarting by itself (bit 7) is not modelled. After a
    bus error the kernel hangs, and asking for its control register raises the error: louder than the board, which would
    hang or compute with garbage.

    Parameters
    ----------
    registers : dict
        As in pynq's `ip_dict`: name to `address_offset`.
    execute : callable
        Runs the kernel: input registers in, output registers out.
    busy_reads : int
        How often the control register says "busy" before a run is over; with its interrupt enabled, a run is over at
        once.
    interrupt : callable, optional
        Called when the interrupt line rises.

    Attributes
    ----------
    accesses : Counter
        How often each register was read or written so far, by ("read" or "write", name).

    Examples
    --------
    >>> names = ("CTRL", "GIER", "IP_IER", "IP_ISR", "a", "b", "b_ctrl")
    >>> places = {name: {"address_offset": 4 * i} for i, name in enumerate(names)}
    >>> block = KernelRegisters(places, lambda inputs: {"b": inputs["a"] + 1}, 1)
    >>> block.write(16, 41)
    >>> block.write(0, AP_START)
    >>> [block.read(0) for _ in range(3)] == [AP_START, AP_DONE | AP_IDLE | AP_READY, AP_IDLE]
    True
    >>> block.read(20), block.read(24), block.read(24)
    (42, 1, 0)
    """

    def __init__(
        self,
        registers: dict[str, dict[str, Any]],
        execute: Execute,
        busy_reads: int,
        interrupt: Callable[[], None] = lambda: None,
    ) -> None:
        self.accesses: Counter[tuple[str, str]] = Counter()
        self._interrupt = interrupt
        self._names = {details["address_offset"]: name for name, details in registers.items()}
        self._values = dict.fromkeys(registers, 0)
        self._outputs = {name for name in registers if f"{name}_ctrl" in registers}
        self._valid = {f"{name}_ctrl" for name in self._outputs}
        self._inputs = set(registers) - self._outputs - self._valid - {"CTRL", "GIER", "IP_IER", "IP_ISR"}
        self._execute = execute
        self._busy_reads = busy_reads
        self._running = False
        self._reads_left = 0
        self._results: dict[str, int] | None = None
        self._bus_error: OSError | None = None
        self._finished = 0  # done and ready, until read

    def read(self, offset: int) -> int:
        name = self._names.get(offset)
        if name is None:
            return 0
        self.accesses["read", name] += 1
        if name == "CTRL":
            return self._read_control()
        value = self._values[name]
        if name in self._valid:
            self._values[name] = 0
        return value

    def write(self, offset: int, value: int) -> None:
        name = self._names.get(offset)
        if name is not None:
            self.accesses["write", name] += 1
        if name == "CTRL":
            if value & AP_START and not self._running:
                self._start()
        elif name == "IP_ISR":
            self._values[name] ^= value & 3
        elif name == "GIER":
            self._values[name] = value & 1
        elif name == "IP_IER":
            self._values[name] = value & 3
        elif name in self._inputs:
            self._values[name] = value

    def _start(self) -> None:
        self._running, self._reads_left, self._results = True, self._busy_reads, None
        try:
            self._results = self._execute({name: self._values[name] for name in self._inputs})
        except OSError as error:
            self._bus_error = error
        if self._results is not None and self._values.get("GIER", 0) & self._values.get("IP_IER", 0) & 1:
            self._finish(self._results)

    def _read_control(self) -> int:
        if self._bus_error is not None:
            raise self._bus_error
        if self._running and self._results is not None:
            if self._reads_left:
                self._reads_left -= 1
            else:
                self._finish(self._results)
        if self._running:
            return AP_START
        value = AP_IDLE | self._finished
        self._finished = 0
        return value

    def _finish(self, results: dict[str, int]) -> None:
        for name in self._outputs & set(results):
            self._values[name] = results[name]
            self._values[f"{name}_ctrl"] = 1
        self._values["IP_ISR"] |= self._values["IP_IER"]
        self._running, self._finished = False, AP_DONE | AP_READY
        if self._values["GIER"] and self._values["IP_ISR"]:
            self._interrupt()
