"""The audit as a whole: all counts together, and the faults."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from . import annotated, rules, toolchain
from .budget import DEVICE, DEVICE_NAME, KNOWN, LIMIT
from .fabric import Fabric
from .hardware import Hardware, Unit, readable
from .ir import Module
from .memories import Memories
from .multipliers import Product, product
from .schedule import STAGE_NS
from .source import Source

COLUMNS = ("DSP", "BRAM36", "LUT", "FF")


@dataclass(frozen=True)
class Row:
    """A line of the table of resources."""

    name: str
    amounts: dict[str, float]


class Audit:
    """Audit of a top function.

    Parameters
    ----------
    path : Path
        The file of the top function.
    top : str
        Its name.
    defines : tuple of str
        Macros, such as `"PCNN_PE=24"`.

    Raises
    ------
    AuditError
        A tool is missing, the sources do not compile, or use what the audit does not know, such as floating point.
    """

    def __init__(self, path: Path, top: str, defines: tuple[str, ...] = ()) -> None:
        self.source = Source(path, top, defines)
        with tempfile.TemporaryDirectory() as folder:
            code = toolchain.compile_ir(annotated.write(self.source, Path(folder)), defines)
        self.module = Module(code)
        if f"@{top}" not in self.module.functions:
            raise toolchain.AuditError(f"{path.name} has no function {top} with C linkage")
        self.hardware = Hardware(self.source, self.module)
        self.memories = Memories(self.hardware)

    @cached_property
    def breaches(self) -> list[str]:
        """Breaches of the rules for sources that can be synthesised."""
        return rules.check(self.source)

    @cached_property
    def fabric(self) -> Fabric:
        return Fabric(self.hardware, self.memories)

    def products(self, unit: Unit, pipelined: bool | None = None) -> list[Product]:
        """Multiplications of one copy of a unit, those in its pipelines, those outside, or all."""
        return [
            product(i, unit.widths)
            for i in unit.code.instructions
            if i.opcode == "mul" and pipelined in (None, unit.pipelined(i))
        ]

    def dsp(self, pipelined: bool | None = None) -> int:
        """DSPs, each multiplication with its own."""
        return sum(unit.copies * sum(p.dsp for p in self.products(unit, pipelined)) for unit in self.hardware.used)

    def shared_dsp(self) -> int:
        """DSPs outside of pipelines if each function had one multiplier for them all, as Vitis HLS may do."""
        return sum(u.copies * max((p.dsp for p in self.products(u, False)), default=0) for u in self.hardware.used)

    @cached_property
    def rows(self) -> list[Row]:
        found = []
        for unit in self.hardware.used:
            cost = self.fabric.units[unit.code.name]
            loops = [loop.name for loop in unit.loops if loop.source and loop.source.pipelined]
            name = f"`{readable(unit.code.name)}`" + (f" ({', '.join(f'`{loop}`' for loop in loops)})" if loops else "")
            name += f" x {unit.copies}" if unit.copies > 1 else ""
            amounts = {
                "DSP": unit.copies * sum(p.dsp for p in self.products(unit)),
                "LUT": unit.copies * cost.luts,
                "FF": unit.copies * cost.ff,
            }
            found.append(Row(name, amounts))
        for memory in self.memories.used:
            if memory.registers:
                continue
            where = memory.type or "a memory of Vitis HLS's choice"
            twice = "2 x " if memory.copies > 1 else ""
            name = f"`{memory.array.name}`: {twice}{memory.banks} x {memory.depth} x {memory.bits} bits, {where}"
            found.append(Row(name, {"BRAM36": memory.bram18 / 2, "LUT": memory.lutram}))
        rest = self.fabric.memory.luts - sum(m.lutram for m in self.memories.used)
        found.append(Row("registers and multiplexers of the memories", {"LUT": rest, "FF": self.fabric.memory.ff}))
        ports, bridges = self.fabric.ports, self.fabric.bridges
        amounts = {"BRAM36": self.fabric.bram18 / 2, "LUT": ports.luts, "FF": ports.ff}
        found.append(Row("AXI masters and registers", amounts))
        found.append(Row("interconnect and reset", {"LUT": bridges.luts, "FF": bridges.ff}))
        return found

    @cached_property
    def total(self) -> dict[str, float]:
        return {column: sum(row.amounts.get(column, 0) for row in self.rows) for column in COLUMNS}

    @cached_property
    def faults(self) -> list[str]:
        """All that is wrong, known or not."""
        found = [*self.breaches, *self.hardware.faults, *self.memories.faults]
        for code in self.hardware.units.values():
            for i in code.code.instructions:
                if i.opcode == "call" and not i.callee.startswith("@llvm.") and i.callee not in self.module.functions:
                    found.append(f"{readable(code.code.name)} calls {i.callee}, which is not in the sources")
                if i.opcode in ("udiv", "sdiv", "urem", "srem"):
                    found.append(
                        f"{readable(code.code.name)} divides by other than a power of two, {i.type.bits} bits wide"
                    )
        for column, limit in LIMIT.items():
            if self.total[column] > limit:
                found.append(
                    f"{column}: {self.total[column]:,.0f}, and the limit is {limit:,}"
                    f" of the {DEVICE_NAME}'s {DEVICE[column]:,}"
                )
        return list(dict.fromkeys(found))

    @property
    def unknown_faults(self) -> list[str]:
        """Faults that `budget.KNOWN` does not name, and names of it that are no fault any more."""
        new = [fault for fault in self.faults if not fault.startswith(tuple(KNOWN))]
        gone = [known for known in KNOWN if not any(fault.startswith(known) for fault in self.faults)]
        return new + [f"`{known.strip()}` is mended: take it off KNOWN in hls_src/audit/budget.py" for known in gone]

    def reason(self, fault: str) -> str:
        """Why a fault is known; nothing if it is not."""
        return next((reason for known, reason in KNOWN.items() if fault.startswith(known)), "")

    @property
    def notes(self) -> list[str]:
        found = list(self.memories.notes)
        for schedule in self.fabric.schedules:
            if schedule.recurrence > STAGE_NS * schedule.interval:
                found.append(
                    f"{schedule.name}: {schedule.carried.lstrip('%')} takes about {schedule.recurrence:.1f} ns"
                    f" from one iteration to the next, more than the {STAGE_NS * schedule.interval:.1f} ns of its II"
                )
        outside = self.dsp(False)
        if outside:
            found.append(
                f"{outside} DSPs are outside of pipelines; with one multiplier a function there it would be"
                f" {self.shared_dsp()}:"
                f" {self.total['DSP'] - outside + self.shared_dsp():.0f} in all"
            )
        return found
