"""The hardware: functions and how many of each, their loops, and which loop is a pipeline.

* A function with `INLINE off` is one module in each function that calls it, however often that does, as its calls take
  turns; called in a pipeline, it is a module a call.
* A loop inside a pipelined one must be gone, unrolled; what is left is a fault.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .ir import Code, Instruction, Module
from .source import Loop, Source
from .widths import Widths, all_widths


@dataclass
class CodeLoop:
    """A loop of the intermediate code and the loop of the source that it comes from, if that is known."""

    header: str
    blocks: set[str]
    place: tuple[str, int]
    source: Loop | None

    @property
    def name(self) -> str:
        return self.source.name if self.source else f"{self.place[0]}:{self.place[1]}"


@dataclass
class Unit:
    """A function as hardware."""

    code: Code
    widths: Widths
    copies: int
    pipelined_by: str = ""  # the pipelined loop, or the function, that all of it belongs to
    interval: int = 1
    loops: list[CodeLoop] = field(default_factory=list)

    def pipeline(self, block: str) -> tuple[str, int]:
        """Name and initiation interval of the pipeline that a block runs in; ("", 0) outside of one."""
        if self.pipelined_by:
            return self.pipelined_by, self.interval
        for loop in self.loops:
            pragma = loop.source.pipelined if loop.source else None
            if loop.source and pragma and block in loop.blocks:
                return loop.name, interval(pragma.options)
        return "", 0

    def pipelined(self, instruction: Instruction) -> bool:
        return bool(self.pipeline(instruction.block)[0])


def interval(options: dict[str, str]) -> int:
    """The II of a PIPELINE pragma; 1 where it gives none."""
    return int(options["ii"]) if options.get("ii", "").isdigit() else 1


def dominators(code: Code) -> dict[str, set[str]]:
    """Blocks that every way to a block passes."""
    entry = next(iter(code.blocks))
    before: dict[str, set[str]] = {label: set() for label in code.blocks}
    for label, block in code.blocks.items():
        for target in block[-1].labels if block and block[-1].opcode in ("br", "switch") else ():
            before[target].add(label)
    found = {label: set(code.blocks) for label in code.blocks}
    found[entry] = {entry}
    changed = True
    while changed:
        changed = False
        for label in code.blocks:
            if label == entry:
                continue
            above = [found[b] for b in before[label]]
            new = (set.intersection(*above) if above else set()) | {label}
            if new != found[label]:
                found[label], changed = new, True
    return found


def loops_of(code: Code, module: Module, source: Source) -> list[CodeLoop]:
    """Natural loops, the outer before the inner."""
    over = dominators(code)
    before: dict[str, set[str]] = {label: set() for label in code.blocks}
    for label, block in code.blocks.items():
        for target in block[-1].labels if block[-1].opcode in ("br", "switch") else ():
            before[target].add(label)
    found: dict[str, CodeLoop] = {}
    for label, block in code.blocks.items():
        last = block[-1]
        for target in last.labels if last.opcode in ("br", "switch") else ():
            if target not in over[label]:
                continue
            blocks, work = {target}, [label]
            while work:
                at = work.pop()
                if at not in blocks:
                    blocks.add(at)
                    work += before[at]
            place = module.loop_place(last.loop)
            loop = found.setdefault(target, CodeLoop(target, set(), place, source.loop_at(*place)))
            loop.blocks |= blocks
            if loop.source is None and place[1]:
                loop.place, loop.source = place, source.loop_at(*place)
    return sorted(found.values(), key=lambda loop: -len(loop.blocks))


class Hardware:
    """All units under the top function of `source`, compiled to `module`."""

    def __init__(self, source: Source, module: Module) -> None:
        self.source, self.module = source, module
        self.faults: list[str] = []
        self.units: dict[str, Unit] = {}
        top = f"@{source.top}"
        for name, widths in all_widths(module, top).items():
            code = module.functions[name]
            unit = self.units[name] = Unit(code, widths, 1 if name == top else 0)
            self._pipelined_function(unit)
            unit.loops = loops_of(code, module, source)
            self._callers(unit)
            self._inner_loops(unit)

    def _pipelined_function(self, unit: Unit) -> None:
        for function in self.source.functions:
            pragma = function.find("pipeline")
            if pragma and "off" not in pragma.words and readable(unit.code.name) == function.name:
                unit.pipelined_by, unit.interval = function.name, interval(pragma.options)

    def _callers(self, unit: Unit) -> None:
        for caller in self.units.values():
            calls = [i for i in caller.code.instructions if i.callee == unit.code.name]
            inside = [call for call in calls if caller.pipelined(call)]
            unit.copies += caller.copies * (len(inside) or bool(calls))
            for call in inside:
                unit.pipelined_by, unit.interval = caller.pipeline(call.block)

    def _inner_loops(self, unit: Unit) -> None:
        for inner in unit.loops:
            if inner.source is None:
                self.faults.append(f"{readable(unit.code.name)} has a loop that is not in the sources ({inner.name})")
            around = [
                outer for outer in unit.loops if inner.blocks < outer.blocks and outer.source and outer.source.pipelined
            ]
            name = around[0].name if around else unit.pipelined_by
            if name:
                self.faults.append(
                    f"{inner.name} in the pipelined {name} is not unrolled: give it a fixed bound"
                    " and `#pragma HLS UNROLL`"
                )

    @property
    def used(self) -> list[Unit]:
        return [unit for unit in self.units.values() if unit.copies]


def readable(mangled: str) -> str:
    """The last name of a mangled C++ name.

    >>> readable("@_ZN4pcnn8load_padEPKmmjPA16_h"), readable("@_ZN4pcnnL8run_convERKNS_4ConvE"), readable("@main")
    ('load_pad', 'run_conv', 'main')
    """
    text = mangled.lstrip("@").strip('"')
    if not text.startswith("_Z"):
        return text
    at, names = 2, []
    at += text[at : at + 1] == "N"
    while at < len(text):
        while text[at : at + 1] in ("L", "K"):
            at += 1
        digits = ""
        while text[at : at + 1].isdigit():
            digits += text[at]
            at += 1
        if not digits:
            break
        names.append(text[at : at + int(digits)])
        at += int(digits)
        if not mangled.lstrip("@").startswith("_ZN"):
            break
    return names[-1] if names else text
