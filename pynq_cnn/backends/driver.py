"""The driver that pynq binds to the engine. Importing this module imports `pynq` and registers the driver with it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import pynq

from pynq_cnn.compiler import ISA_VERSION, MAGIC, Hardware, Program
from pynq_cnn.errors import DeviceError

AP_START, AP_DONE, AP_IDLE = 1 << 0, 1 << 1, 1 << 2  # bits of CTRL, fixed by the ap_ctrl_hs protocol

POINTERS = ("weights", "fm_in", "fm_out")
SCALARS = ("mem_words", "program", "instructions", "images")
OUTPUTS = ("status", "failed_at", "magic", "isa_version", "geometry", "buffers", "build")
REGISTERS = ("CTRL", *(f"{name}_{half}" for name in POINTERS for half in (1, 2)), *SCALARS, *OUTPUTS)

# docs/instruction-set.md, section 5.
STATUS = {
    1: "unknown opcode",
    2: "field out of range",
    3: "tile does not fit the on-chip buffers",
    4: "address outside the Program",
}


@dataclass(frozen=True)
class Identity:
    """What the engine says it is.

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

    Parameters
    ----------
    description : dict
        The IP's entry in pynq's `ip_dict`.

    Raises
    ------
    DeviceError
        If a register is missing: the `.hwh` is another engine's.
    """

    bindto = ["pynq-cnn:hls:pynq_cnn_engine:1.0"]

    def __init__(self, description: dict[str, Any]) -> None:
        super().__init__(description)
        registers = description.get("registers", {})
        missing = [name for name in REGISTERS if name not in registers]
        if missing:
            raise DeviceError(f"the .hwh gives the engine no register {', '.join(missing)}; take the one that was built with the .bit")
        self._offsets = {name: registers[name]["address_offset"] for name in REGISTERS}

    def identify(self, timeout: float) -> Identity:
        """Ask the engine what it is: a run of 0 instructions, which touches no memory.

        Parameters
        ----------
        timeout : float
            Seconds.

        Raises
        ------
        DeviceError
            If it does not answer, or is not an engine that this package can drive.
        """
        values = self._run(dict.fromkeys((*POINTERS, *SCALARS), 0), timeout)
        if values["magic"] != MAGIC:
            raise DeviceError(
                f"what answers in the programmable logic is not the engine: its magic register says {values['magic']:#010x}, not "
                f"{MAGIC:#010x}. The .bit and the .hwh are of different designs, or another process has loaded one meanwhile; put the two "
                "files of one build side by side"
            )
        if values["isa_version"] != ISA_VERSION:
            raise DeviceError(
                f"the bitstream speaks version {values['isa_version']} of the instruction set, and this pynq_cnn version {ISA_VERSION}; "
                "install the pynq_cnn that the bitstream was built with, or rebuild the bitstream from hls_src of this one"
            )
        return Identity(Hardware.from_registers(values["geometry"], values["buffers"]), values["build"])

    def execute(self, program: Program, address: int, images: int, timeout: float) -> None:
        """Run a Program that is in contiguous memory, flushed, with its images.

        Parameters
        ----------
        program : Program
            What to run.
        address : int
            Physical byte address of its first word.
        images : int
            1 to its capacity.
        timeout : float
            Seconds.

        Raises
        ------
        DeviceError
            After a timeout or bus error, or if the engine stops with a status; the message has the registers.
        """
        scalars = (program.memory_words, program.program, program.instructions, images)
        values = self._run({**dict.fromkeys(POINTERS, address), **dict(zip(SCALARS, scalars))}, timeout)
        if values["status"]:
            reason = STATUS.get(values["status"], "unknown status")
            failed_at = values["failed_at"]
            where = program.instruction_names[failed_at] if failed_at < program.instructions else "an instruction that is not there"
            raise DeviceError(
                f"the engine stopped with status {values['status']} ({reason}) at instruction {failed_at}, {where} ({_show(values)}). "
                "The Program in contiguous memory is damaged, as by somebody else's buffer there; the next call writes it anew"
            )

    def idle(self) -> bool:
        """Whether the engine is known to be at rest."""
        try:
            return bool(self._get("CTRL") & AP_IDLE)
        except OSError:
            return False

    def _run(self, inputs: dict[str, int], timeout: float) -> dict[str, int]:
        """Start the engine, wait for it, give its output registers."""
        try:
            if not self._get("CTRL") & AP_IDLE:  # also takes the "done" of whoever did not wait for it
                raise DeviceError(f"the engine is still busy with an earlier run ({self._report()}); the next call reloads the bitstream")
            for name, value in inputs.items():
                if name in POINTERS:
                    self._set(f"{name}_1", value & 0xFFFFFFFF)
                    self._set(f"{name}_2", value >> 32)
                else:
                    self._set(name, value)
            self._set("CTRL", AP_START)
            self._wait(timeout)
            return {name: self._get(name) for name in OUTPUTS}
        except OSError as error:
            raise DeviceError(
                f"bus error while talking to the engine: {error} ({self._report()}). Likely causes: another design in the programmable "
                "logic, its clock off, or memory freed under it. The next call reloads the bitstream"
            ) from error

    def _wait(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        pause = 0.0
        # Idle counts as done too: "done" clears when it is read, and a notebook that shows the register map reads it.
        while not self._get("CTRL") & (AP_DONE | AP_IDLE):
            if time.monotonic() > deadline:
                raise DeviceError(
                    f"the engine did not finish within {timeout:g} s ({self._report()}). Likely causes: a bitstream of another design, a "
                    "memory port that is off or of another width, or a network that takes longer: then pass a longer timeout=. The next "
                    "call reloads the bitstream"
                )
            time.sleep(pause)
            pause = min(pause + 20e-6, 1e-3)  # short runs are seen at once, long ones leave the processor to others

    def _get(self, name: str) -> int:
        return int(self.read(self._offsets[name]))

    def _set(self, name: str, value: int) -> None:
        self.write(self._offsets[name], value)

    def _report(self) -> str:
        """The registers that tell most, for an error message."""
        try:
            return _show({name: self._get(name) for name in ("CTRL", *OUTPUTS)})
        except OSError as error:
            return f"registers unreadable: {error}"


def _show(values: dict[str, int]) -> str:
    return ", ".join(f"{name}={value:#x}" for name, value in values.items())
