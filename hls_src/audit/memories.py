"""Reads and writes of each bank of an array in a cycle, beside what its ports serve."""

from __future__ import annotations

import itertools
import math
import re
from collections import defaultdict
from dataclasses import dataclass

from .arrays import Memory, memory_of
from .blocks import longest, topological
from .hardware import Hardware, Unit
from .ir import Instruction, Type, Value
from .pointers import Address, Pointers

# Accesses in a cycle that a binding serves: reads, writes, both together. UG1399, pragma HLS bind_storage.
PORTS = {
    "ram_1p": (1, 1, 1),
    "ram_s2p": (1, 1, 2),
    "ram_2p": (2, 1, 2),
    "ram_t2p": (2, 2, 2),
    "ram_1wnr": (1 << 20, 1, 1 << 20),
    "rom_1p": (1, 0, 1),
    "rom_2p": (2, 0, 2),
    "rom_np": (1 << 20, 0, 1 << 20),
}
DEFAULT_PORTS = (2, 2, 2)  # without a binding Vitis HLS takes two ports if it needs them


@dataclass(frozen=True)
class Access:
    """Accesses of a pipelined loop to the busiest bank of a memory in `interval` cycles."""

    loop: str
    interval: int
    memory: Memory
    reads: int
    writes: int


class Memories:
    """All arrays of the hardware, with what the pipelines ask of them; `faults` has what they cannot serve."""

    def __init__(self, hardware: Hardware) -> None:
        self.hardware, self.pointers = hardware, Pointers(hardware)
        self.all = [memory_of(array) for array in hardware.source.arrays]
        for memory in self.all:
            memory.copies += hardware.source.in_dataflow(memory.array)
        self.faults: list[str] = []
        self.notes: list[str] = []
        self.accesses: list[Access] = []
        self._objects: dict[str, list[Memory]] = {}
        for unit in hardware.used:
            self._unit(unit)

    @property
    def used(self) -> list[Memory]:
        """Arrays that are still memories or indexed registers after unrolling."""
        return [memory for memory in self.all if memory.used]

    def memories_at(self, address: Address) -> list[Memory]:
        """The arrays of the variable that an address points into."""
        if address.root not in self._objects:
            self._objects[address.root] = self._find(address.root)
        return self._objects[address.root]

    def _find(self, root: str) -> list[Memory]:
        if root.startswith("@") and " %" not in root:
            return [
                m
                for m in self.all
                if re.search(rf"(?<!\d){len(m.array.owner)}{re.escape(m.array.owner)}(E|$|_\d|I|\.)", root)
                or root == f"@{m.array.owner}"
            ]
        if " %" not in root:
            return []
        function, _, local = root.partition(" ")
        name = re.sub(r"(\.i)*\d*$", "", local[1:]).split(".")[0]
        code = self.hardware.module.functions[function]
        size = next((i.pointee.size for i in code.instructions if i.name == local and i.pointee), 0)
        found = [m for m in self.all if m.array.owner in (name, local[1:]) and not m.array.static]
        exact = [m for m in found if math.prod(m.array.dimensions) * m.array.bits // 8 == size]
        # Of a struct variable all its arrays.
        return exact[:1] or [
            m for m in found if (m.array.file, m.array.line) == (found[0].array.file, found[0].array.line)
        ]

    def touched(self, unit: Unit, address: Address, bytes_: int) -> list[tuple[Memory, int | None, str]]:
        """Arrays, banks (None for any) and rows that an access of some bytes reaches."""
        result: list[tuple[Memory, int | None, str]] = []
        memories = self.memories_at(address)
        for memory in memories:
            size = math.prod(memory.array.dimensions) * memory.array.bits // 8
            if len(memories) > 1 and not memory.array.offset <= address.number < memory.array.offset + size:
                continue
            element = max(memory.array.bits // 8, 1)
            for step in range(max(1, bytes_ // element)):
                where = address.number - memory.array.offset + step * element
                result += [(memory, bank, row) for bank, row in self._banks(unit, memory, address, where)]
        return result

    def _banks(self, unit: Unit, memory: Memory, address: Address, where: int) -> list[tuple[int | None, str]]:
        element = max(memory.array.bits // 8, 1)
        dimensions = memory.array.dimensions
        step = [element * math.prod(dimensions[d + 1 :]) for d in range(len(dimensions))]
        choices: list[set[int] | None] = []
        free = dict(address.terms)
        for d, (how, parts) in enumerate(memory.split):
            if parts == 1 and not how.startswith("reshape"):
                choices.append({0})
                continue
            span = step[d] * dimensions[d]
            cycle = step[d] * parts if how == "cyclic" else span
            totals: set[int] | None = {where % cycle if how == "cyclic" else where % span}
            for name, factor in address.terms:
                value = Value(Type("int", 64), name)
                if (factor << unit.widths.zeros(value)) % cycle == 0 or factor < step[d]:
                    continue
                free.pop(name, None)
                values = self.pointers.possible(unit, value)
                totals = (
                    {t + v * factor for t in totals for v in values}
                    if totals is not None and values is not None and len(totals) * len(values) <= 256
                    else None
                )
            if how.startswith("reshape"):
                choices.append({0})
            elif totals is None:
                choices.append(None)
            elif how == "cyclic":
                choices.append({t // step[d] % parts for t in totals})
            elif how == "block":
                choices.append({t % span // step[d] // -(-dimensions[d] // parts) for t in totals})
            else:
                choices.append({t % span // step[d] for t in totals})
        inside = tuple(s for s, (how, parts) in zip(step, memory.split) if parts > 1 or how.startswith("reshape"))
        row = f"{sorted(free.items())} {where - sum(where // s % dimensions[step.index(s)] * s for s in inside)}"
        if any(c is None for c in choices):
            return [(None, row)]
        parts_ = [parts for _, parts in memory.split]
        found: list[tuple[int | None, str]] = []
        for combination in itertools.product(*(c or {0} for c in choices)):
            bank = 0
            for part, count in zip(combination, parts_):
                bank = bank * count + part
            found.append((bank, row))
        return found

    def _unit(self, unit: Unit) -> None:
        regions: list[tuple[str, int, set[str], str]] = []
        if unit.pipelined_by:
            regions.append((unit.pipelined_by, unit.interval, set(unit.code.blocks), next(iter(unit.code.blocks))))
        else:
            for loop in unit.loops:
                if loop.source and loop.source.pipelined:
                    regions.append((loop.name, unit.pipeline(loop.header)[1], loop.blocks, loop.header))
        for i in unit.code.instructions:
            for memory, _, _ in self.reached(unit, i):
                memory.used = True
                memory.sites.add(unit.pipeline(i.block)[0] or unit.code.name)
        for name, interval, blocks, header in regions:
            self._pipeline(unit, name, interval, blocks, header)

    def reached(self, unit: Unit, i: Instruction) -> list[tuple[Memory, int | None, str]]:
        """The memories and banks of a load or store."""
        if i.opcode not in ("load", "store"):
            return []
        type_ = i.type if i.opcode == "load" else i.operands[0].type
        found = []
        for address in self.pointers.addresses(unit, i.operands[-1]):
            found += self.touched(unit, address, type_.size)
        return found

    def _pipeline(self, unit: Unit, name: str, interval: int, blocks: set[str], header: str) -> None:
        counts: dict[tuple[int, int | None], dict[str, dict[str, set[str]]]] = defaultdict(
            lambda: {"load": defaultdict(set), "store": defaultdict(set)}
        )
        ports: dict[str, dict[str, dict[str, int]]] = defaultdict(
            lambda: {"load": defaultdict(int), "store": defaultdict(int)}
        )
        for label in blocks:
            for i in unit.code.blocks[label]:
                self._hidden(unit, name, i)
                if i.opcode not in ("load", "store"):
                    continue
                for number, (memory, bank, row) in enumerate(self.reached(unit, i)):
                    key = row if i.opcode == "load" else f"{row} {i.name} {id(i)} {number}"
                    counts[(self.all.index(memory), bank)][i.opcode][label].add(key)
                for address in self.pointers.addresses(unit, i.operands[-1]):
                    if address.root.startswith("port "):
                        ports[self._bundle(address.root)][i.opcode][label] += 1
        order = topological(unit, blocks, header)
        indices = {index for index, _ in counts}
        for index in sorted(indices):
            self._check(unit, name, interval, index, counts, order)
        for bundle, kinds in sorted(ports.items()):
            for opcode, weights in kinds.items():
                if longest(unit, order, weights) > interval:
                    word = "reads" if opcode == "load" else "writes"
                    self.faults.append(
                        f"{name} {word} {bundle} {longest(unit, order, weights)} times in {interval} cycle(s);"
                        " a port moves one word a cycle"
                    )

    def _hidden(self, unit: Unit, name: str, i: Instruction) -> None:
        """Refuse what cannot be counted: a pointer from a table, an array copied or cleared as a whole."""
        if i.opcode in ("load", "store"):
            if any(address.root == "?" for address in self.pointers.addresses(unit, i.operands[-1])):
                place = self.hardware.module.place(i.debug)
                self.faults.append(f"{name}: {place[0]}:{place[1]} accesses memory by a pointer that is not known")
        elif i.opcode == "call" and i.callee.startswith(("@llvm.memcpy", "@llvm.memmove", "@llvm.memset")):
            for operand in i.operands[:2]:
                for address in self.pointers.addresses(unit, operand) if operand.type.kind == "ptr" else ():
                    for memory in self.memories_at(address):
                        if not memory.registers:
                            self.faults.append(
                                f"{name} copies or clears `{memory.array.name}` as a whole, not word by word"
                            )

    def _bundle(self, root: str) -> str:
        from .rules import ports

        names = list(ports(self.hardware.source))
        place = int(root.split()[1])
        name = names[place] if place < len(names) else root
        top = next(f for f in self.hardware.source.functions if f.name == self.hardware.source.top)
        for pragma in top.pragmas:
            if pragma.kind == "interface" and pragma.options.get("port") == name and "m_axi" in pragma.words:
                return f"bundle {pragma.options.get('bundle', 'gmem')}"
        return f"port {name}"

    def _check(
        self,
        unit: Unit,
        name: str,
        interval: int,
        index: int,
        counts: dict[tuple[int, int | None], dict[str, dict[str, set[str]]]],
        order: list[str],
    ) -> None:
        memory = self.all[index]
        banks = sorted({bank for i, bank in counts if i == index and bank is not None}) or [0]
        limits = [most * interval for most in PORTS.get(memory.type, DEFAULT_PORTS)]
        seen = []
        for bank in banks:
            weights: dict[str, dict[str, int]] = {kind: defaultdict(int) for kind in ("load", "store", "both")}
            for key in ((index, bank), (index, None)):
                for opcode in ("load", "store"):
                    for label, rows in counts[key][opcode].items() if key in counts else ():
                        weights[opcode][label] += len(rows)
                        weights["both"][label] += len(rows)
            reads, writes, both = (longest(unit, order, weights[kind]) for kind in ("load", "store", "both"))
            over = sum(max(used - most, 0) for used, most in zip((reads, writes, both), limits))
            seen.append((over, both, reads, writes, sum(weights["both"].values())))
            memory.most_reads = max(memory.most_reads, -(-reads // interval))
            memory.most_writes = max(memory.most_writes, -(-writes // interval))
        over, _, reads, writes, everything = max(seen)
        if memory.registers:
            return
        self.accesses.append(Access(name, interval, memory, reads, writes))
        if over:
            self.faults.append(
                f"{name} needs {reads} reads and {writes} writes of a bank of `{memory.array.name}`"
                f" in {interval} cycle(s), more than {memory.type or 'a memory with two ports'} serves:"
                " partition it as it is accessed, or access it less"
            )
        elif everything > limits[2]:
            self.notes.append(
                f"{name}: accesses of `{memory.array.name}` fit its ports because not all happen in one iteration"
            )
