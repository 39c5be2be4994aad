"""A pipeline of the intermediate code as Verilog, for a synthesis tool to count beside `fabric`.

Each operation is written with all bits of its type: what is narrower, or not needed, the tool finds by itself.
Registers stand where the audit's schedule has stages. What comes from a memory or from outside of the loop is an input,
addresses and what is written are outputs; arrays that are registers are written out.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from .arrays import Memory
from .blocks import definitions, topological
from .fabric import Fabric
from .hardware import CodeLoop, Unit, dominators
from .ir import BINARY, Instruction, Type, Value, strides
from .multipliers import product
from .schedule import DSP_STAGES, DSP_STAGES_WIDE, STAGE_NS, leaves_of, steps_of_sums
from .toolchain import AuditError

OPERATORS = {"and": "&", "or": "|", "xor": "^", "shl": "<<", "lshr": ">>"}
SIGNED = {"add": "+", "sub": "-", "mul": "*"}  # as signed numbers: copies of a sign, too, are then seen as such
COMPARE = {"eq": "==", "ne": "!=", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}


@dataclass(frozen=True)
class Wire:
    """A value of the Verilog text: an expression, its bits, and the stage in which it is there (None: in all)."""

    text: str
    bits: int
    stage: int | None


class Pipeline:
    """The Verilog of one pipelined loop; `text` has the module `unit`."""

    def __init__(self, fabric: Fabric, unit: Unit, loop: CodeLoop) -> None:
        self.fabric, self.unit, self.loop = fabric, unit, loop
        self.order = topological(unit, loop.blocks, loop.header)
        schedule = next(s for s in fabric.schedules if s.name == loop.name)
        self.ready = {value: stage for value, (stage, _) in schedule.ready.items()}
        self.moments = {value: moment for value, (_, moment) in schedule.ready.items()}
        self.instructions = [i for label in self.order for i in unit.code.blocks[label]]
        self.inside = {i.name: i for i in self.instructions if i.name}
        self.over = dominators(unit.code)
        self.before: dict[str, list[str]] = {label: [] for label in self.order}
        for label in self.order:
            for target in unit.code.blocks[label][-1].labels:
                if target in self.before and target != loop.header:
                    self.before[target].append(label)
        self.ports: list[str] = ["input clk", "input start"]
        self.body: list[str] = []
        self.wires: dict[str, Wire] = {}
        self._delayed: dict[tuple[str, int], str] = {}
        self._reached: dict[tuple[str, str], Wire] = {}
        self._registers: dict[tuple[str, int, int], Wire] = {}  # elements of arrays that are registers
        self._inputs: dict[str, Wire] = {}
        self._count = 0
        self._write()

    @property
    def text(self) -> str:
        return "module unit(" + ",\n  ".join(self.ports) + ");\n" + "\n".join(self.body) + "\nendmodule\n"

    def _name(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def _define(self, expression: str, bits: int, stage: int | None) -> Wire:
        name = self._name("v")
        self.body.append(f"wire [{bits - 1}:0] {name} = {expression};")
        return Wire(name, bits, stage)

    def _input(self, key: str, bits: int, stage: int | None) -> Wire:
        if key not in self._inputs:
            name = self._name("i")
            self.ports.append(f"input [{bits - 1}:0] {name}")
            self._inputs[key] = Wire(name, bits, stage)
        return self._inputs[key]

    def _output(self, wire: Wire) -> None:
        name = self._name("o")
        self.ports.append(f"output [{wire.bits - 1}:0] {name}")
        self.body.append(f"assign {name} = {wire.text};")

    def _register(self, text: str, bits: int) -> str:
        name = self._name("r")
        self.body.append(f"reg [{bits - 1}:0] {name}; always @(posedge clk) {name} <= {text};")
        return name

    def _at(self, wire: Wire, stage: int) -> str:
        """The value of a wire in a stage."""
        if wire.stage is None or stage <= wire.stage:
            return wire.text
        text = wire.text
        for later in range(wire.stage + 1, stage + 1):
            key = (wire.text, later)
            if key not in self._delayed:
                self._delayed[key] = self._register(text, wire.bits)
            text = self._delayed[key]
        return text

    def _value(self, value: Value) -> Wire:
        bits = value.type.bits
        if value.constant:
            return Wire(f"{bits}'d{(value.number or 0) % (1 << bits)}", bits, None)
        if value.name in self.wires:
            return self.wires[value.name]
        if value.name in self.inside:
            raise AuditError(f"{value.name} is read before it is there")
        return self._input(value.name, bits, None)

    def _stage(self, name: str, *wires: Wire) -> int:
        """Where the audit has it, and not before what it takes."""
        return max([self.ready.get(name, 0), *(w.stage for w in wires if w.stage is not None)])

    def _write(self) -> None:
        header = self.unit.code.blocks[self.loop.header]
        carried = [i for i in header if i.opcode == "phi"]
        for i in carried:
            if i.type.kind == "int":
                name = self._name("c")
                self.body.append(f"reg [{i.type.bits - 1}:0] {name};")
                self.wires[i.name] = Wire(name, i.type.bits, self.ready.get(i.name, 0))
        uses: dict[str, int] = {}
        for i in self.instructions:
            for o in i.operands:
                if o.name in self.inside:
                    uses[o.name] = uses.get(o.name, 0) + 1
        self.absorbed = steps_of_sums(self.instructions, self.inside, uses)
        for i in self.instructions:
            if i.name in self.absorbed or i in carried:
                continue
            if i.opcode == "load":
                self._load(i)
            elif i.opcode == "store":
                self._store(i)
            elif i.opcode == "br" and i.operands and any(label not in self.loop.blocks for label in i.labels):
                self._output(self._value(i.operands[0]))
            elif i.name and i.type.kind == "int":
                self.wires[i.name] = self._operation(i)
        outside = (i for i in self.unit.code.instructions if i.block not in self.loop.blocks)
        for name in sorted({o.name for i in outside for o in i.operands} & self.wires.keys()):
            self._output(self.wires[name])  # used behind the loop
        for i in carried:
            if i.type.kind != "int":
                continue
            own = self.wires[i.name]
            following = first = None
            for o, label in zip(i.operands, i.labels):
                if label in self.loop.blocks:
                    following = self._at(self._value(o), own.stage or 0)
                else:
                    first = self._value(o).text
            self.body.append(f"always @(posedge clk) {own.text} <= start ? {first} : {following};")

    def _operation(self, i: Instruction) -> Wire:
        bits = i.type.bits
        if i.opcode == "phi":
            return self._merge(i)
        if i.opcode == "add" and len(leaves := leaves_of(i, self.inside, self.absorbed)) > 2:
            return self._sum(i, leaves)
        operands = [self._value(o) for o in i.operands if o.type.kind == "int"]
        if i.opcode == "mul" and (dsp := product(i, self.unit.widths).dsp):
            return self._product(i, operands, DSP_STAGES.get(dsp, DSP_STAGES_WIDE))
        if i.opcode in ("trunc", "zext", "sext", "freeze"):
            return self._cast(i, operands[0])
        number = any(o.constant for o in i.operands)
        if number and (i.opcode in ("and", "or", "xor") or (i.opcode in BINARY and "sh" in i.opcode)):
            stage = operands[0].stage if operands[0].stage is not None else operands[1].stage  # no logic: where it is
        else:
            stage = self._stage(i.name, *operands)
        a = [self._at(o, stage or 0) for o in operands]
        if i.opcode in SIGNED:
            text = f"$signed({a[0]}) {SIGNED[i.opcode]} $signed({a[1]})"
        elif i.opcode in OPERATORS:
            text = f"{a[0]} {OPERATORS[i.opcode]} {a[1]}"
        elif i.opcode == "ashr":
            text = f"$signed({a[0]}) >>> {a[1]}"
        elif i.opcode == "icmp":
            a = [f"$signed({x})" for x in a] if i.predicate.startswith("s") else a
            text = f"{a[0]} {COMPARE[i.predicate.lstrip('us') if len(i.predicate) > 2 else i.predicate]} {a[1]}"
        elif i.opcode == "select":
            text = f"{a[0]} ? {a[1]} : {a[2]}"
        elif i.opcode == "call":
            return self._intrinsic(i, operands, stage or 0)
        else:
            raise AuditError(f"no Verilog for {i.opcode}")
        return self._define(text, bits, stage)

    def _cast(self, i: Instruction, a: Wire) -> Wire:
        bits = i.type.bits
        if i.opcode == "trunc":
            return self._define(a.text, bits, a.stage)
        if i.opcode == "sext":
            return self._define(f"{{{{{bits - a.bits}{{{a.text}[{a.bits - 1}]}}}}, {a.text}}}", bits, a.stage)
        return self._define(a.text, bits, a.stage)

    def _intrinsic(self, i: Instruction, operands: list[Wire], stage: int) -> Wire:
        a = [self._at(o, stage) for o in operands]
        bits = i.type.bits
        what = i.callee.split(".")[1]
        if what in ("smax", "smin", "umax", "umin"):
            b = [f"$signed({x})" if what[0] == "s" else x for x in a]
            return self._define(f"{b[0]} {'>' if what[1:] == 'max' else '<'} {b[1]} ? {a[0]} : {a[1]}", bits, stage)
        if what == "ctpop":
            value = self._define(a[0], bits, stage)
            return self._define(" + ".join(f"{bits}'d0 + {value.text}[{b}]" for b in range(bits)), bits, stage)
        if what == "usub":
            return self._define(f"{a[0]} > {a[1]} ? {a[0]} - {a[1]} : {bits}'d0", bits, stage)
        if what == "abs":
            return self._define(f"$signed({a[0]}) < 0 ? -{a[0]} : {a[0]}", bits, stage)
        raise AuditError(f"no Verilog for {i.callee}")

    def _product(self, i: Instruction, operands: list[Wire], stages: int) -> Wire:
        """A product with a register behind its operands, and the others behind it, which a DSP takes in."""
        at = max(self._stage(i.name, *operands) - stages, *(o.stage or 0 for o in operands))
        a, b = (o.text if o.stage is None else self._register(self._at(o, at), o.bits) for o in operands)
        text = self._define(f"$signed({a}) * $signed({b})", i.type.bits, None).text
        for _ in range(stages - 1):
            text = self._register(text, i.type.bits)
        return Wire(text, i.type.bits, at + stages)

    def _sum(self, i: Instruction, leaves: list[Value]) -> Wire:
        """A balanced tree, as the audit has it."""
        delay, bits = self.fabric.operations.delay(self.unit, i), i.type.bits
        heap: list[tuple[tuple[int, float], int, Wire]] = []
        for place, o in enumerate(leaves):
            wire = self._value(o)
            heap.append(((wire.stage or 0, self.moments.get(o.name, 0.0)), place, wire))
        heapq.heapify(heap)
        place = len(heap)
        while len(heap) > 1:
            (_, _, first), (at, _, second) = heapq.heappop(heap), heapq.heappop(heap)
            stage, begins = at if at[1] + delay <= STAGE_NS else (at[0] + 1, 0.0)
            wire = self._define(f"$signed({self._at(first, stage)}) + $signed({self._at(second, stage)})", bits, stage)
            place += 1
            heapq.heappush(heap, ((stage, begins + delay), place, wire))
        return heap[0][2]

    def _condition(self, label: str, target: str) -> Wire | None:
        """When control goes from a block to another; None for always."""
        last = self.unit.code.blocks[label][-1]
        if last.opcode == "br" and not last.operands or last.labels[0] == last.labels[-1] and len(last.labels) < 3:
            return None
        choice = self._value(last.operands[0])
        if last.opcode == "br":
            return choice if last.labels[0] == target else self._define(f"~{choice.text}", 1, choice.stage)
        cases = [case for case, to in zip(last.cases, last.labels[1:]) if to == target]
        others = [case for case in last.cases if case not in cases]
        text = " | ".join(f"({choice.text} == {choice.bits}'d{n})" for n in (cases or others))
        return self._define(f"~({text})" if last.labels[0] == target else text, 1, choice.stage)

    def _reach(self, start: str, label: str) -> Wire:
        """Whether control comes to a block, where it passes `start`, which it always does before."""
        if label == start:
            return Wire("1'b1", 1, None)
        if (start, label) not in self._reached:
            near = self._nearest(label)
            if near != start:
                ways = [self._both(self._reach(start, near), self._reach(near, label))]
            else:
                ways = [
                    self._both(self._reach(start, b), self._condition(b, label) or Wire("1'b1", 1, None))
                    for b in self.before[label]
                ]
            if any(way.text == "1'b1" for way in ways):
                self._reached[(start, label)] = Wire("1'b1", 1, None)
            else:
                stage = max((w.stage for w in ways if w.stage is not None), default=0)
                text = " | ".join(self._at(w, stage) for w in ways)
                self._reached[(start, label)] = self._define(text, 1, stage)
        return self._reached[(start, label)]

    def _both(self, a: Wire, b: Wire) -> Wire:
        if a.text == "1'b1" or b.text == "1'b1":
            return b if a.text == "1'b1" else a
        stage = max(a.stage or 0, b.stage or 0)
        return self._define(f"{self._at(a, stage)} & {self._at(b, stage)}", 1, stage)

    def _nearest(self, label: str) -> str:
        """The nearest block that every way to a block passes."""
        above = self.over[label] - {label}
        return max((b for b in above if b in self.loop.blocks), key=lambda b: len(self.over[b]))

    def _merge(self, i: Instruction) -> Wire:
        near = self._nearest(i.block)
        ways = []
        for o, label in zip(i.operands, i.labels):
            condition = self._condition(label, i.block) or Wire("1'b1", 1, None)
            ways.append((self._both(self._reach(near, label), condition), self._value(o)))
        stage = self._stage(i.name, *(w for pair in ways for w in pair))
        text = self._at(ways[-1][1], stage)
        for condition, value in reversed(ways[:-1]):
            text = f"{self._at(condition, stage)} ? {self._at(value, stage)} : ({text})"
        return self._define(text, i.type.bits, stage)

    def _address(self, pointer: Value) -> tuple[str, int, list[tuple[int, Value]]]:
        """The base of an address, constant bytes, and the other indices with the bytes of a step."""
        definition = definitions(self.unit).get(pointer.name)
        if definition is None or definition.opcode != "getelementptr" or definition.pointee is None:
            return pointer.name, pointer.number or 0, []
        base, number, terms = self._address(definition.operands[0])
        for step, index in strides(definition.pointee, definition.operands[1:]):
            if index.constant:
                number += step * (index.number or 0)
            else:
                terms = [*terms, (step, index)]
        return base, number, terms

    def _memory(self, pointer: Value, type_: Type) -> Memory | None:
        found = self.fabric.memories.pointers.addresses(self.unit, pointer)
        touched = [m for a in found for m, _, _ in self.fabric.memories.touched(self.unit, a, type_.size)]
        return touched[0] if touched else None

    def _load(self, i: Instruction) -> None:
        if i.type.kind != "int":
            return
        base, number, terms = self._address(i.operands[0])
        memory = self._memory(i.operands[0], i.type)
        if memory is None and not terms:  # a field of an argument
            self.wires[i.name] = self._input(f"{base}+{number}", i.type.bits, None)
            return
        indices = [(step, self._value(index)) for step, index in terms]
        if memory is not None and memory.registers:
            self.wires[i.name] = self._from_registers(i, base, number, indices)
            return
        stage = self._stage(i.name, *(w for _, w in indices))
        asked = max(stage - 1, *(w.stage or 0 for _, w in indices)) if indices else stage
        for _, wire in indices:
            self._output(Wire(self._at(wire, asked), wire.bits, None))
        banks = self._banks(i, memory)
        if banks > 1:
            chosen = self._bank(memory, number, indices, stage)
            inputs = [self._input(f"{i.name} {bank}", i.type.bits, stage).text for bank in range(banks)]
            text = inputs[-1]
            for bank, name in reversed(list(enumerate(inputs[:-1]))):
                text = f"{chosen} == {bank} ? {name} : ({text})"
            self.wires[i.name] = self._define(text, i.type.bits, stage)
        else:
            key = f"{base}+{number} " + " ".join(f"{step}*{w.text}" for step, w in indices)
            wire = self._input(key, i.type.bits, stage)
            self.wires[i.name] = Wire(wire.text, wire.bits, stage)

    def _banks(self, i: Instruction, memory: Memory | None) -> int:
        if memory is None or memory.banks == 1:
            return 1
        type_ = i.type if i.opcode == "load" else i.operands[0].type
        banks = set()
        for address in self.fabric.memories.pointers.addresses(self.unit, i.operands[-1]):
            banks |= {bank for _, bank, _ in self.fabric.memories.touched(self.unit, address, type_.size)}
        return memory.banks if None in banks else len(banks)

    def _bank(self, memory: Memory | None, number: int, indices: list[tuple[int, Wire]], stage: int) -> str:
        assert memory is not None
        element = max(memory.array.bits // 8, 1)
        terms = [f"{step} * {self._at(w, stage)}" for step, w in indices if step % (element * memory.banks)]
        offset = self._define(" + ".join([str(number), *terms]), 32, stage)
        low = element.bit_length() - 1
        return f"{offset.text}[{low + (memory.banks - 1).bit_length() - 1}:{low}]"

    def _elements(self, base: str, number: int, step: int, size: int) -> list[tuple[int, Wire]]:
        """Elements `number + n * step` of an array that is registers, with n."""
        return [
            ((offset - number) // step, wire)
            for (root, offset, bits), wire in sorted(self._registers.items())
            if root == base and bits == size and offset >= number and (offset - number) % step == 0
        ]

    def _from_registers(self, i: Instruction, base: str, number: int, indices: list[tuple[int, Wire]]) -> Wire:
        bits = i.type.bits
        if not indices:
            key = (base, number, bits)
            if key not in self._registers:
                self._registers[key] = self._input(f"{base}+{number}", bits, None)
            return self._registers[key]
        ((step, index),) = indices
        if not self._elements(base, number, step, bits):  # filled outside of the loop
            memory = self._memory(i.operands[0], i.type)
            assert memory is not None
            for n in range(memory.banks):
                self._registers[(base, number + n * step, bits)] = self._input(
                    f"{base}+{number + n * step}", bits, None
                )
        elements = self._elements(base, number, step, bits)
        stage = self._stage(i.name, index, *(w for _, w in elements))
        chosen = self._define(self._at(index, stage), max((len(elements) - 1).bit_length(), 1), stage)
        lines = " ".join(f"{n}: {{0}} = {self._at(w, stage)};" for n, w in elements[:-1])
        name = self._name("m")
        self.body.append(
            f"reg [{bits - 1}:0] {name}; always @* case ({chosen.text}) {lines.format(name)}"
            f" default: {name} = {self._at(elements[-1][1], stage)}; endcase"
        )
        return Wire(name, bits, stage)

    def _store(self, i: Instruction) -> None:
        value, pointer = i.operands
        base, number, terms = self._address(pointer)
        memory = self._memory(pointer, value.type)
        given = self._value(value)
        reach = self._reach(self.loop.header, i.block)
        indices = [(step, self._value(index)) for step, index in terms]
        if memory is not None and memory.registers and not indices:
            key = (base, number, value.type.bits)
            before = self._registers.get(key)
            if before is None or reach.text == "1'b1":
                self._registers[key] = given
                return
            stage = max(w.stage or 0 for w in (given, before, reach))
            text = f"{self._at(reach, stage)} ? {self._at(given, stage)} : {self._at(before, stage)}"
            self._registers[key] = self._define(text, value.type.bits, stage)
            return
        stage = max(w.stage or 0 for w in (given, reach, *(w for _, w in indices)))
        self._output(Wire(self._at(given, stage), given.bits, None))
        for _, wire in indices:
            self._output(Wire(self._at(wire, stage), wire.bits, None))
        banks = self._banks(i, memory)
        enable = self._at(reach, stage)
        if banks > 1:
            chosen = self._bank(memory, number, indices, stage)
            for bank in range(banks):
                self._output(self._define(f"{enable} & ({chosen} == {bank})", 1, None))
        else:
            self._output(Wire(enable, 1, None))
