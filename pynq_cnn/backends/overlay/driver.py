"""The driver that pynq binds to the engine. Importing this module imports `pynq` and registers the driver with it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pynq

from pynq_cnn.backends.overlay.design import ENGINE_TYPE
from pynq_cnn.backends.overlay.interrupt import EngineInterrupt
from pynq_cnn.compiler import ISA_VERSION, MAGIC, Hardware, Program
from pynq_cnn.compiler.registers import INPUTS, OUTPUTS, REGISTERS, SCALARS, STATUS, pointer_inputs
from pynq_cnn.errors import DeviceError

LONGEST = 0.1  # seconds to sleep for an interrupt before asking: one that gets lost costs no more

AP_START, AP_DONE, AP_IDLE = 1 << 0, 1 << 1, 1 << 2  # bits of CTRL, fixed by the ap_ctrl_hs protocol


@dataclass(frozen=True)
class Identity:
    """Identity of the engine, from its registers.

    Parameters
    ----------
    hardware : Hardware
        Its sizes.
    build : int
        First 32 bits of the SHA-256 of the sources it was made from.
    """

    hardware: Hardware
    build: int


class EngineDriver(pynq.DefaultIP):
    """Runs the engine whose registers a `.hwh` describes; no offset is written down here.

    An access to a register takes long (10 to 40 microseconds through pynq, on a board, as others report): only what has
    changed is written, and after a run that went well one word is read.

    Parameters
    ----------
    description : dict
        The IP's entry in pynq's `ip_dict`.

    Raises
    ------
    DeviceError
        If a register is missing: the `.hwh` is another engine's.
    """

    bindto = [f"{ENGINE_TYPE}:1.0"]

    def __init__(self, description: dict[str, Any]) -> None:
        # Without the interrupts: pynq binds them to its active device and to an event loop of this thread, and there
        # need be neither.
        super().__init__({**description, "interrupts": {}})
        registers = description.get("registers", {})
        missing = [name for name in REGISTERS if name not in registers]
        if missing:
            raise DeviceError(
                f"the .hwh gives the engine no register {', '.join(missing)}; take the one that was built with the .bit"
            )
        self._offsets = {name: details["address_offset"] for name, details in registers.items()}
        self._written: dict[str, int] = {}  # input registers as this driver left them
        self.interrupt: EngineInterrupt | None = (
            None  # set by who loads the overlay; without it, a run's end is asked for again and again
        )

    def forget(self) -> None:
        """Take no register for written any more: after the bitstream was loaded, or when somebody else may have written
        to them.
        """
        self._written.clear()

    def is_engine(self) -> bool:
        """Whether an engine that `identify` has asked answers here: one read, and no write to whatever else it
        may be.
        """
        try:
            return self.get_register("magic") == MAGIC
        except OSError:
            return False

    def identify(self, timeout: float) -> Identity:
        """Ask the engine what it is: a run of 0 sections, which touches no memory.

        Parameters
        ----------
        timeout : float
            Seconds.

        Raises
        ------
        DeviceError
            If it does not answer, or is not an engine that this package can drive.
        """
        self.forget()
        self._start(dict.fromkeys(INPUTS, 0))
        self.wait(time.monotonic() + timeout, timeout)
        with self._answering():
            values = {name: self.get_register(name) for name in OUTPUTS}
        if values["magic"] != MAGIC:
            raise DeviceError(
                "what answers in the programmable logic is not the engine: its magic register says"
                f" {values['magic']:#010x}, not {MAGIC:#010x}. The .bit and the .hwh are of different designs, or"
                " another process has loaded one meanwhile; put the two files of one build side by side"
            )
        if values["isa_version"] != ISA_VERSION:
            raise DeviceError(
                f"the bitstream speaks version {values['isa_version']} of the instruction set, and this pynq_cnn"
                f" version {ISA_VERSION}; install the pynq_cnn that the bitstream was built with, or rebuild the"
                " bitstream from hls_src of this one"
            )
        return Identity(Hardware.from_registers(values["geometry"], values["buffers"]), values["build"])

    def start(self, program: Program, address: int, slot: int, images: int) -> None:
        """Start a Program that is in contiguous memory, flushed, with its images. `wait` and `check` follow.

        Parameters
        ----------
        program : Program
            The program to run.
        address : int
            Physical byte address of its first word.
        slot : int
            Which of its slots has the images.
        images : int
            1 to its capacity.

        Raises
        ------
        DeviceError
            If the engine is busy, or does not answer.
        """
        scalars = (program.memory_words, program.slots[slot].entry, program.sections, images)
        self._start({**pointer_inputs(address), **dict(zip(SCALARS, scalars))})

    def _start(self, inputs: dict[str, int]) -> None:
        with self._answering():
            if not self.get_register("CTRL") & AP_IDLE:  # also takes the "done" of whoever did not wait for it
                raise DeviceError(
                    f"the engine is still busy with an earlier run ({self._report()}); the next call waits for it or"
                    " reloads"
                )
            for name, value in inputs.items():
                if self._written.get(name) != value:
                    self.set_register(name, value)
                    self._written[name] = value
            if self.interrupt is not None:
                self.interrupt.arm()
            self.set_register("CTRL", AP_START)

    def wait(self, until: float, timeout: float) -> None:
        """Wait for the end of a run.

        Parameters
        ----------
        until : float
            On the clock of `time.monotonic`.
        timeout : float
            Seconds that were allowed, for the message.

        Raises
        ------
        DeviceError
            At the deadline, or after a bus error; the message has the registers.
        """
        pause, late = 0.0, False
        told = self.interrupt is not None and self.interrupt.wait(min(until - time.monotonic(), LONGEST))
        with self._answering():
            # Idle counts as done too: "done" clears when it is read, and a notebook that shows the register map reads
            # it.
            while not self.get_register("CTRL") & (AP_DONE | AP_IDLE):
                left = until - time.monotonic()
                if left < 0 and not late:
                    late = True  # ask once more: this process may have slept for longer than the engine has worked
                elif left < 0:
                    raise DeviceError(
                        f"the engine did not finish within {timeout:.3g} s ({self._report()}). Likely causes: a"
                        " bitstream of another design, a memory port that is off or of another width, or a clock that"
                        " is slower than the .hwh says: then pass a longer timeout=. The next call reloads the"
                        " bitstream"
                    )
                elif self.interrupt is not None:
                    told = self.interrupt.wait(min(left, LONGEST))
                else:
                    time.sleep(pause)
                    # Short runs are seen at once, long ones leave the processor to others.
                    pause = min(pause + 20e-6, 1e-3)
        if self.interrupt is not None and not told:
            self.interrupt = None  # it was not told, and found out by asking: so it will from now on

    def check(self, program: Program) -> None:
        """See that the run which has ended went well: one read.

        Raises
        ------
        DeviceError
            If the engine stopped with a status; the message has the registers.
        """
        with self._answering():
            if not self.get_register("status"):
                return
            values = {name: self.get_register(name) for name in OUTPUTS}
        reason = STATUS.get(values["status"], "unknown status")
        failed_at = values["failed_at"]
        where = (
            program.instruction_names[failed_at] or "the start of a section"
            if failed_at < program.instructions
            else "an instruction that is not there"
        )
        raise DeviceError(
            f"the engine stopped with status {values['status']} ({reason}) at instruction {failed_at}, {where}"
            f" ({_show(values)}). The Program in contiguous memory is damaged, as by somebody else's buffer there; the"
            " next call writes it anew"
        )

    def settled(self, until: float) -> bool:
        """Whether the engine is at rest, waiting for it up to `until` on the clock of `time.monotonic`; False after a
        bus error.
        """
        try:
            self.wait(until, 0.0)
            return bool(self.get_register("CTRL") & AP_IDLE)
        except (DeviceError, OSError):
            return False

    def get_register(self, name: str) -> int:
        """Read a register by its name in the `.hwh`."""
        return int(self.read(self._offsets[name]))

    def set_register(self, name: str, value: int) -> None:
        """Write a register by its name in the `.hwh`."""
        self.write(self._offsets[name], value)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Make a bus error into a `DeviceError`."""
        try:
            yield
        except OSError as error:
            raise DeviceError(
                f"bus error while talking to the engine: {error} ({self._report()}). Likely causes: another design in"
                " the programmable logic, its clock off, or memory freed under it. The next call reloads the bitstream"
            ) from error

    def _report(self) -> str:
        """The registers that tell most, for an error message."""
        try:
            return _show({name: self.get_register(name) for name in ("CTRL", *OUTPUTS)})
        except OSError as error:
            return f"registers unreadable: {error}"


def _show(values: dict[str, int]) -> str:
    return ", ".join(f"{name}={value:#x}" for name, value in values.items())
