"""LUTs and flip-flops, by counting.

LUTs: each operation of the intermediate code by its width, as a LUT6 with its carry chain holds it; nothing is shared
but what clang shares. A gate that only another gate takes is in the LUT of that one, and a sum of single bits is made
of compressors. Flip-flops: a pipeline is scheduled as soon as possible into stages of 7.3 ns, as Vitis HLS plans with
10 ns less 27 %; reads, and what only rearranges bits, are then moved to where the first of their users is, as its
scheduler keeps lifetimes short. A value that crosses into a later stage is registered there, and what waits for more
than two stages goes through a shift register (one LUT a bit). Outside of pipelines a value that leaves its basic block
has a register.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from .hardware import Hardware, Unit, dominators
from .ir import Instruction, Value
from .memories import Memories, bram18, definitions, successors, topological
from .multipliers import product
from .rules import ports
from .source import Pragma

STAGE_NS = 7.3  # UG1399, "Clock uncertainty": 27 % of 10 ns are kept for routing

# LUTs a bit. A LUT6 is two LUT5 of the same inputs: two bits of a 2-input gate or of a 2:1 multiplexer (UG474,
# chapter 2).
GATE, MUX2 = 0.5, 0.5
MUX4 = 1.0  # a 4:1 multiplexer is one LUT6; wider ones of those with the slice's F7 and F8
SHIFT4 = 1.25  # two levels of a shifter: yosys 0.70 takes 1.5, the device could do with 1
EQUAL, EQUAL_NUMBER, LESS, LESS_NUMBER = 0.55, 1 / 6, 0.7, 1 / 3  # comparisons: as yosys 0.70; with a number, by inputs
POPCOUNT = 1.3  # LUTs a bit of a sum of bits: 6:3 compressors of three LUTs, then adders

# Fixed parts, LUTs and flip-flops: engineers' figures for 64-bit ports on a 7-series part, not measurements.
AXI_MASTER = (1100, 1600)
# The adapter of a port holds all words that are under way, each way: UG1399, "Controlling AXI4 Burst Behavior".
UNDER_WAY = {
    "read": ("num_read_outstanding", "max_read_burst_length"),
    "write": ("num_write_outstanding", "max_write_burst_length"),
}
UNDER_WAY_DEFAULT = 16
AXI_WORD = 72  # 64 bits, and those that go with them
AXI_LITE, AXI_LITE_REGISTER = (120, 150), (18, 34)
BRIDGE = (1300, 1700)  # a SmartConnect with one port on each side
RESET = (40, 60)
LOOP = (12, 6)  # start, flush and exit of a pipeline
STATE = (2, 1)  # of a state machine, one-hot
CALL = (10, 4)  # handshake
TURN = {"load": 96, "store": 160}  # bits of a port that are chosen: address, length, and what is written

# Delays in ns of the xc7z020-1 as Vitis HLS plans with them, straight lines through 8, 32 and 64 bits.
DELAYS = {
    "add": (1.60, 0.030),
    "icmp": (1.20, 0.025),
    "gate": (0.97, 0.0),
    "select": (0.70, 0.005),
    "shift": (2.2, 0.034),
}
READ_NS = {"bram": 3.254, "lutram": 2.32, "registers": 0.0}
DSP_STAGES = {1: 3}  # stages of a product by its DSPs, of more than one
DSP_STAGES_WIDE = 5
ROUNDS = 40


@dataclass
class Cost:
    """LUTs by kind, and flip-flops."""

    lut: Counter[str] = field(default_factory=Counter)
    ff: float = 0

    def add(self, kind: str, lut: float, ff: float = 0) -> None:
        self.lut[kind] += lut  # type: ignore[assignment]
        self.ff += ff

    @property
    def luts(self) -> float:
        return sum(self.lut.values())


@dataclass
class Schedule:
    """A pipeline: its depth in stages and the longest way around from a value to its next."""

    name: str
    interval: int
    depth: int
    recurrence: float
    carried: str
    ready: dict[str, tuple[int, float]]  # stage, and ns in it, in which each value is there
    shifts: float  # LUTs of shift registers
    ff: float


class Fabric:
    """LUTs and flip-flops of each unit, and the schedules of its pipelines."""

    def __init__(self, hardware: Hardware, memories: Memories) -> None:
        self.hardware, self.memories = hardware, memories
        self.units: dict[str, Cost] = {}
        self.schedules: list[Schedule] = []
        self._users: dict[str, dict[str, list[Instruction]]] = {}
        self._bit_sums: dict[str, bool] = {}
        for unit in hardware.used:
            cost = self.units[unit.code.name] = Cost()
            for i in unit.code.instructions:
                kind, lut = self.operation(unit, i)
                if lut:
                    cost.add(kind, lut)
            self._pipelines(unit, cost)
            self._states(unit, cost)
            cost.add("multiplexers", self._turns(unit))
        self.ports = self._ports()
        self.memory = self._memory()

    # --- LUTs of one operation ---

    def operation(self, unit: Unit, i: Instruction) -> tuple[str, float]:
        """Kind and LUTs of an instruction."""
        widths = unit.widths
        width = widths.width(i)
        number = any(o.constant for o in i.operands)
        if i.opcode in ("add", "sub"):
            if self._in_dsp(unit, i):
                return "", 0
            if self._of_bits(unit, i):
                return "popcounts", POPCOUNT * sum(widths.range(o).useful_bits <= 1 for o in i.operands)
            # Below the lowest bit of one side there is nothing to add.
            low = max(widths.zeros(o) for o in (i.operands if i.opcode == "add" else i.operands[1:]))
            return "adders", max(width - low, 0)
        if i.opcode == "mul":
            return "adders", product(i, widths).lut
        if self._in_gate(unit, i):
            return "gates", 0
        if i.opcode in ("and", "or", "xor"):
            return "gates", 0 if number and i.type.bits > 1 else width * GATE
        if i.opcode == "icmp":
            return "comparators", self._comparison(unit, i)
        if i.opcode == "select":
            return "multiplexers", width * (GATE if number else MUX2)
        if i.opcode == "phi":
            return "multiplexers", width * MUX2 * (len({(o.name, o.number) for o in i.operands}) - 1)
        if i.opcode in ("shl", "lshr", "ashr") and not i.operands[1].constant:
            return "shifters", self._shift(unit, i)
        if i.opcode in ("udiv", "sdiv", "urem", "srem"):
            return "dividers", i.type.bits * i.type.bits
        if i.opcode == "call":
            return self._intrinsic(unit, i, width)
        if i.opcode in ("load", "store"):
            return "multiplexers", self._indexed(unit, i)
        return "", 0

    def _in_dsp(self, unit: Unit, i: Instruction) -> bool:
        """Whether a constant is added to a product of one DSP, in its third port (C).

        What else uses the product may only look at bits up to the lowest of the constant: those are of the sum, too,
        the last one inverted.
        """
        constant = next((o.number for o in i.operands if o.constant), None)
        maker = next((definitions(unit).get(o.name) for o in i.operands if not o.constant), None)
        if i.opcode != "add" or not constant or maker is None or maker.opcode != "mul":
            return False
        if product(maker, unit.widths).dsp != 1:
            return False
        seen = (constant & -constant).bit_length()
        for other in self._uses(unit, maker.name):
            if other is i:
                continue
            number = next((o.number for o in other.operands if o.constant), None)
            if not (
                (other.opcode == "trunc" and other.type.bits <= seen)
                or (other.opcode == "and" and number is not None and 0 <= number < 1 << seen)
                or (other.opcode == "shl" and number is not None and number >= other.type.bits - seen)
                or unit.widths.asked.get(other.name, 64) <= seen
            ):
                return False
        return True

    def _of_bits(self, unit: Unit, i: Instruction) -> bool:
        """Whether an addition is part of a sum of three or more single bits, and of nothing else."""
        if i.opcode != "add" or any(o.constant for o in i.operands):
            return False
        if i.name not in self._bit_sums:
            makers = [definitions(unit).get(o.name) for o in i.operands]
            self._bit_sums[i.name] = all(
                unit.widths.range(o).useful_bits <= 1
                or (maker is not None and len(self._uses(unit, o.name)) == 1 and self._of_bits(unit, maker))
                for o, maker in zip(i.operands, makers)
            )
        return self._bit_sums[i.name]

    def _in_gate(self, unit: Unit, i: Instruction) -> bool:
        """Whether a gate of two inputs is in the LUT of the gate that alone takes its result."""

        def gate(one: Instruction) -> bool:
            constants = sum(o.constant for o in one.operands)
            return (one.opcode in ("and", "or", "xor") and not constants) or (one.opcode == "select" and constants == 1)

        users = self._uses(unit, i.name) if gate(i) else []
        # An 8-bit value is often widened before it is used.
        if len(users) == 1 and users[0].opcode in ("zext", "trunc"):
            users = self._uses(unit, users[0].name)
        return len(users) == 1 and gate(users[0])

    def _uses(self, unit: Unit, name: str) -> list[Instruction]:
        if unit.code.name not in self._users:
            users: dict[str, list[Instruction]] = defaultdict(list)
            for i in unit.code.instructions:
                for o in i.operands:
                    if o.name:
                        users[o.name].append(i)
            self._users[unit.code.name] = users
        return self._users[unit.code.name][name]

    def _comparison(self, unit: Unit, i: Instruction) -> float:
        left, right = (unit.widths.range(o) for o in i.operands)
        width = max(left.useful_bits, right.useful_bits)
        constant = next((o.number for o in i.operands if o.constant), None)
        if constant in (0, -1) and i.predicate in ("slt", "sgt", "sge", "sle"):
            return 0  # a sign
        if i.predicate in ("eq", "ne"):
            return max(1, width * (EQUAL if constant is None else EQUAL_NUMBER))
        return max(1, width * (LESS if constant is None else LESS_NUMBER))

    def _shift(self, unit: Unit, i: Instruction) -> float:
        levels = unit.widths.range(i.operands[1]).most.bit_length()
        levels = min(levels, (i.type.bits - 1).bit_length())
        asked = min(unit.widths.asked.get(i.name, i.type.bits), i.type.bits)
        if i.operands[0].constant:
            return asked  # a function of the at most six bits of the distance
        kept = unit.widths.range(i.operands[0]).useful_bits if i.opcode != "shl" else asked
        return min(kept, i.type.bits) * math.ceil(levels / 2) * SHIFT4

    def _intrinsic(self, unit: Unit, i: Instruction, width: int) -> tuple[str, float]:
        if i.callee.startswith("@llvm.ctpop"):
            return "popcounts", unit.widths.range(i.operands[0]).useful_bits * POPCOUNT
        if i.callee.startswith(("@llvm.smax", "@llvm.smin", "@llvm.umax", "@llvm.umin")):
            number = any(o.constant for o in i.operands)
            wide = max(unit.widths.range(o).useful_bits for o in i.operands)
            sign = number and any(o.constant and o.number in (0, -1) for o in i.operands)
            return "comparators", (0 if sign else wide * (LESS_NUMBER if number else LESS)) + width * GATE
        if i.callee.startswith(("@llvm.usub.sat", "@llvm.uadd.sat", "@llvm.abs")):
            return "adders", width * 1.5
        if i.callee.startswith(("@llvm.fshl", "@llvm.fshr")) and not i.operands[2].constant:
            return "shifters", i.type.bits * math.ceil((i.type.bits - 1).bit_length() / 2) * SHIFT4
        return "", 0

    def _indexed(self, unit: Unit, i: Instruction) -> float:
        """The multiplexers in front of registers or banks that an index from the data chooses among."""
        type_ = i.type if i.opcode == "load" else i.operands[0].type
        found: float = 0
        for address in self.memories.addresses(unit, i.operands[-1]):
            touched = self.memories.touched(unit, address, type_.size)
            for memory in {id(m): m for m, _, _ in touched}.values():
                banks = [bank for m, bank, _ in touched if m is memory]
                several = memory.banks if None in banks else len(set(banks))
                each = max(1, type_.size * 8 // max(memory.array.bits, 1))
                choices = memory.banks if None in banks else -(-several // each)
                if choices <= 1:
                    continue
                if i.opcode == "load":
                    found += min(type_.bits, memory.bits * each) * (
                        MUX2 if choices == 2 else math.ceil(choices / 4) * MUX4
                    )
                else:
                    found += choices * (1 + (memory.bits * MUX2 if memory.registers else 0))
        return found

    # --- pipelines ---

    def _pipelines(self, unit: Unit, cost: Cost) -> None:
        if unit.pipelined_by:
            self._pipeline(
                unit, cost, unit.pipelined_by, unit.interval, set(unit.code.blocks), next(iter(unit.code.blocks))
            )
            return
        for loop in unit.loops:
            name, interval = unit.pipeline(loop.header)
            if name and name == loop.name:
                self._pipeline(unit, cost, name, interval, loop.blocks, loop.header)

    def delay(self, unit: Unit, i: Instruction) -> float:
        """ns of an operation that is combinational."""
        width = unit.widths.width(i)
        if i.opcode in ("add", "sub"):
            base, slope = DELAYS["add"]
        elif i.opcode == "icmp":
            base, slope = DELAYS["icmp"]
            width = (
                max(unit.widths.range(o).useful_bits for o in i.operands if o.type.kind == "int")
                if i.operands[0].type.kind == "int"
                else 64
            )
        elif i.opcode in ("and", "or", "xor"):
            base, slope = (0, 0) if any(o.constant for o in i.operands) and i.type.bits > 1 else DELAYS["gate"]
        elif i.opcode in ("select", "phi"):
            base, slope = DELAYS["select"]
        elif i.opcode in ("shl", "lshr", "ashr") and not i.operands[1].constant:
            base, slope = DELAYS["shift"]
        elif i.opcode == "call" and i.callee.startswith("@llvm.ctpop"):
            base, slope = 3.0, 0.03
            width = i.type.bits
        elif i.opcode == "call" and self._intrinsic(unit, i, width)[1]:
            base, slope = DELAYS["icmp"][0] + DELAYS["select"][0], DELAYS["icmp"][1]
        else:
            return 0
        return base + slope * width

    def _pipeline(self, unit: Unit, cost: Cost, name: str, interval: int, blocks: set[str], header: str) -> None:
        order = topological(unit, blocks, header)
        instructions = [i for label in order for i in unit.code.blocks[label]]
        inside = {i.name: i for i in instructions if i.name}
        uses: Counter[str] = Counter()
        for i in instructions:
            for o in i.operands:
                if o.name in inside:
                    uses[o.name] += 1
        absorbed = self.steps_of_sums(instructions, inside, uses)
        guard = self._guards(unit, order, blocks, header)
        carried = [i for i in unit.code.blocks[header] if i.opcode == "phi"]
        # A carried value is there when the iteration before has made it: in the stage of its circle. Stages settle in
        # a few rounds, if every circle fits a stage; one that does not is what the recurrence tells.
        stages_of: dict[str, int] = {}
        for _ in range(ROUNDS):
            sums = Cost()  # registers in the trees of this round
            ready, needed = self._schedule(unit, sums, instructions, inside, absorbed, guard, header, stages_of)
            settled = {
                i.name: max((ready[o.name][0] for o in i.operands if o.name in ready and o.name != i.name), default=0)
                for i in carried
            }
            if all(settled[name] <= stages_of.get(name, 0) for name in settled):
                break
            stages_of = {name: max(stage, stages_of.get(name, 0)) for name, stage in settled.items()}
        depth = 1 + max((stage for stage, _ in ready.values()), default=0)
        own = Cost()
        for register, (made, _) in ready.items():
            held = needed.get(register, made) - made
            width = unit.widths.width(inside[register])
            if held > 2:
                own.add("shift registers", width, 2 * width)
            elif held > 0:
                own.ff += held * width
        own.ff += sum(unit.widths.width(i) for i in carried) + depth + sums.ff
        cost.add("shift registers", own.luts, own.ff)
        cost.add("control", *LOOP)
        longest, who = self._recurrence(unit, carried, instructions, order, header)
        if not any(s.name == name for s in self.schedules):
            self.schedules.append(Schedule(name, interval, depth, longest, who, ready, own.luts, own.ff))

    def _schedule(
        self,
        unit: Unit,
        cost: Cost,
        instructions: list[Instruction],
        inside: dict[str, Instruction],
        absorbed: set[str],
        guard: dict[str, set[str]],
        header: str,
        carried: dict[str, int],
    ) -> tuple[dict[str, tuple[int, float]], dict[str, int]]:
        """When each value of a pipeline is there (stage and ns in it), and the last stage that reads it.

        `carried` are the stages in which values of the iteration before are there.
        """
        ready: dict[str, tuple[int, float]] = {}  # stage and ns in it when a value is there
        readers: dict[str, dict[str, int]] = defaultdict(dict)  # by value: what reads it, and in which stage
        movable: list[tuple[Instruction, int]] = []  # what could as well be later, and its stages

        def use(value: Value, stage: int, reader: Instruction) -> None:
            if value.name in ready:
                readers[value.name][reader.name or str(id(reader))] = stage

        for i in instructions:
            if i.name in absorbed or i.opcode in ("br", "switch", "alloca"):
                continue
            if i.opcode == "phi" and i.block == header:
                ready[i.name] = (carried.get(i.name, 0), 0.0)
                continue
            leaves = self.leaves(i, inside, absorbed) if i.opcode == "add" else i.operands
            at = max((ready[o.name] for o in leaves if o.name in ready), default=(0, 0.0))
            if i.opcode in ("store", "phi"):  # behind the conditions that lead there
                for condition in guard.get(i.block, ()):
                    at = max(at, ready.get(condition, (0, 0.0)))
            if i.opcode == "mul" and product(i, unit.widths).dsp:
                dsp = product(i, unit.widths).dsp
                for o in i.operands:
                    use(o, at[0], i)
                ready[i.name] = (at[0] + DSP_STAGES.get(dsp, DSP_STAGES_WIDE), 0.0)
            elif i.opcode == "load":
                for o in i.operands:
                    use(o, at[0], i)
                ready[i.name] = self._read(unit, i, at)
                movable.append((i, ready[i.name][0] - at[0]))
            elif i.opcode == "add" and len(leaves) > 2:
                ready[i.name] = self._tree(unit, cost, i, leaves, ready, readers, self.delay(unit, i))
            else:
                delay = self.delay(unit, i)
                end = at[1] + delay
                stage = at if end <= STAGE_NS else (at[0] + 1, 0.0)
                for o in leaves:
                    use(o, stage[0], i)
                if i.name:
                    ready[i.name] = (stage[0], stage[1] + delay)
                    if not delay:
                        movable.append((i, 0))
                    elif sum(
                        unit.widths.range(o).useful_bits - unit.widths.zeros(o) for o in i.operands
                    ) <= unit.widths.width(i):
                        movable.append((i, 1))  # what makes more bits than it takes, such as the sum before a product
        for i, stages in reversed(movable):
            later = min(readers[i.name].values(), default=ready[i.name][0])
            if i.opcode != "load":
                later -= stages  # it ends in the stage before its first user
                stages = 0
            if later > ready[i.name][0]:
                ready[i.name] = (later, ready[i.name][1])
                for o in i.operands:
                    use(o, later - stages, i)
        needed = {name: max(by.values()) for name, by in readers.items() if by}
        return ready, needed

    def _read(self, unit: Unit, i: Instruction, at: tuple[int, float]) -> tuple[int, float]:
        roots = [m for a in self.memories.addresses(unit, i.operands[-1]) for m in self.memories.memories_at(a)]
        if any(m.in_block_ram for m in roots):
            return at[0] + 1, READ_NS["bram"]
        if any(not m.registers for m in roots):
            return at[0] + 1, READ_NS["lutram"]
        if roots:
            return (at[0], at[1] + 2.0) if at[1] + 2.0 <= STAGE_NS else (at[0] + 1, 2.0)
        return at[0] + 1, 0.0  # a port or a field

    def steps_of_sums(
        self, instructions: list[Instruction], inside: dict[str, Instruction], uses: Mapping[str, int]
    ) -> set[str]:
        """Additions that are only a step of another: Vitis HLS makes a balanced tree of them."""
        return {
            o.name
            for i in instructions
            if i.opcode == "add"
            for o in i.operands
            if o.name in inside and inside[o.name].opcode == "add" and uses[o.name] == 1
        }

    def leaves(self, i: Instruction, inside: dict[str, Instruction], absorbed: set[str]) -> list[Value]:
        found: list[Value] = []
        for o in i.operands:
            found += self.leaves(inside[o.name], inside, absorbed) if o.name in absorbed else [o]
        return found

    def _tree(
        self,
        unit: Unit,
        cost: Cost,
        root: Instruction,
        leaves: list[Value],
        ready: dict[str, tuple[int, float]],
        readers: dict[str, dict[str, int]],
        delay: float,
    ) -> tuple[int, float]:
        heap = [(ready.get(o.name, (0, 0.0)), unit.widths.range(o).useful_bits, o.name) for o in leaves]
        heapq.heapify(heap)
        while len(heap) > 1:
            first, second = heapq.heappop(heap), heapq.heappop(heap)
            at = second[0]
            stage = at if at[1] + delay <= STAGE_NS else (at[0] + 1, 0.0)
            for when, width, name in (first, second):
                if name:
                    if name in ready:
                        readers[name][root.name] = stage[0]
                else:
                    cost.ff += (stage[0] - when[0]) * width
            heapq.heappush(heap, ((stage[0], stage[1] + delay), max(first[1], second[1]) + 1, ""))
        return heap[0][0]

    def _guards(self, unit: Unit, order: list[str], blocks: set[str], header: str) -> dict[str, set[str]]:
        """Conditions of the branches from which a block is reached at once."""
        found: dict[str, set[str]] = defaultdict(set)
        for label in order:
            last = unit.code.blocks[label][-1]
            if last.opcode in ("br", "switch") and last.operands:
                for target in last.labels:
                    if target in blocks and target != header:
                        found[target].add(last.operands[0].name)
        return found

    def _deciding(self, unit: Unit, order: list[str], header: str) -> dict[str, set[str]]:
        """By block, the conditions of the branches between it and the nearest block that every way to it passes.

        They decide what its phis take: a few more than do, where ways part and meet on the way.
        """
        over = dominators(unit.code)
        before: dict[str, list[str]] = {label: [] for label in order}
        for label in order:
            for target in successors(unit, label, set(order), header):
                before[target].append(label)
        found: dict[str, set[str]] = {}
        for label in order:
            if label == header:
                continue
            near = max((over[label] - {label}) & set(order), key=lambda block: len(over[block]))
            work, seen, names = [label], {label}, set()
            while work:
                for block in before[work.pop()]:
                    names |= {o.name for o in unit.code.blocks[block][-1].operands}
                    if block != near and block not in seen:
                        seen.add(block)
                        work.append(block)
            found[label] = names
        return found

    def _recurrence(
        self, unit: Unit, carried: list[Instruction], instructions: list[Instruction], order: list[str], header: str
    ) -> tuple[float, str]:
        """The longest delay of a step of a circle, from a carried value to a next one on the way back to it, and who.

        What is carried to another value without a way back may take stages; a circle may not.
        """
        deciding = self._deciding(unit, order, header)
        inside = {i.name for i in instructions if i.name}
        ways_to: dict[str, dict[str, float]] = {}
        for phi in carried:
            ways: dict[str, float] = {phi.name: 0.0}
            for i in instructions:
                if i is phi or not i.name or (i.opcode == "phi" and i.block == header):
                    continue
                names = {o.name for o in i.operands} | (deciding[i.block] if i.opcode == "phi" else set())
                before = [ways[name] for name in names if name in ways]
                if before:
                    slow = 0.0
                    if i.opcode == "mul" and product(i, unit.widths).dsp:
                        slow = STAGE_NS * DSP_STAGES_WIDE
                    elif i.opcode == "load":
                        slow = STAGE_NS
                    ways[i.name] = max(before) + self.delay(unit, i) + slow
            ways_to[phi.name] = {
                other.name: max(ways[o.name] for o in other.operands if o.name in ways and o.name in inside)
                for other in carried
                if any(o.name in ways and o.name in inside for o in other.operands)
            }
        following = {name: _reached(name, ways_to) for name in ways_to}
        circles = [
            (delay, start) for start, ends in ways_to.items() for end, delay in ends.items() if start in following[end]
        ]
        return max(circles, default=(0.0, ""))

    # --- outside of pipelines ---

    def _states(self, unit: Unit, cost: Cost) -> None:
        code = unit.code
        if unit.pipelined_by:
            return
        outside = {label for label in code.blocks if not unit.pipeline(label)[0]}
        where = {i.name: i for i in code.instructions if i.name}
        crossing: set[str] = set()
        for i in code.instructions:
            for o in i.operands:
                maker = where.get(o.name)
                if maker and maker.block in outside and maker.block != i.block and maker.type.kind == "int":
                    crossing.add(o.name)
        cost.ff += sum(unit.widths.width(where[name]) for name in crossing)
        cost.ff += sum(p.type.bits for p in code.parameters if p.type.kind == "int")
        states = 2 + 2 * len(outside)
        calls = sum(i.callee in self.hardware.units for i in code.instructions)
        cost.add("control", STATE[0] * states + CALL[0] * calls, STATE[1] * states + CALL[1] * calls)

    # --- ports and memories ---

    def _turns(self, unit: Unit) -> float:
        """The multiplexers in front of a port that several pipelines and callees of a function use in turns."""
        users: dict[tuple[str, str], set[str]] = defaultdict(set)
        for i in unit.code.instructions:
            if i.callee in self.hardware.units:
                for key in self._used_ports(self.hardware.units[i.callee]):
                    users[key].add(i.callee)
        for i in unit.code.instructions:
            if i.opcode in ("load", "store"):
                for address in self.memories.addresses(unit, i.operands[-1]):
                    if address.root.startswith("port "):
                        users[(address.root, i.opcode)].add(unit.pipeline(i.block)[0] or i.block)
        masters = self._masters()
        return sum((len(by) - 1) * TURN[opcode] * MUX2 for (root, opcode), by in users.items() if root in masters)

    def _used_ports(self, unit: Unit) -> set[tuple[str, str]]:
        found = {
            (address.root, i.opcode)
            for i in unit.code.instructions
            if i.opcode in ("load", "store")
            for address in self.memories.addresses(unit, i.operands[-1])
            if address.root.startswith("port ")
        }
        for i in unit.code.instructions:
            if i.callee in self.hardware.units:
                found |= self._used_ports(self.hardware.units[i.callee])
        return found

    def _masters(self) -> set[str]:
        """The arguments of the top function that are AXI masters, as addresses name them."""
        source = self.hardware.source
        top = next(f for f in source.functions if f.name == source.top)
        names = {p.options.get("port") for p in top.pragmas if p.kind == "interface" and "m_axi" in p.words}
        return {f"port {place}" for place, name in enumerate(ports(source)) if name in names}

    def _ports(self) -> Cost:
        cost = Cost()
        source = self.hardware.source
        top = next(f for f in source.functions if f.name == source.top)
        interfaces = [p for p in top.pragmas if p.kind == "interface"]
        masters = {p.options.get("bundle", "gmem") for p in interfaces if "m_axi" in (*p.words, p.options.get("mode"))}
        registers = 0
        for name, argument in ports(source).items():
            if any(
                "s_axilite" in (*p.words, p.options.get("mode")) and p.options.get("port") == name for p in interfaces
            ):
                size = argument.type.get_canonical()
                registers += 2 if size.get_size() > 4 else 1
        cost.add("AXI masters", AXI_MASTER[0] * len(masters), AXI_MASTER[1] * len(masters))
        cost.add(
            "AXI-Lite", AXI_LITE[0] + registers * AXI_LITE_REGISTER[0], AXI_LITE[1] + registers * AXI_LITE_REGISTER[1]
        )
        self.bridges = Cost()
        self.bridges.add(
            "interconnect", BRIDGE[0] * (len(masters) + 1) + RESET[0], BRIDGE[1] * (len(masters) + 1) + RESET[1]
        )
        self.bram18 = sum(self._fifos(interfaces, bundle) for bundle in masters)
        return cost

    def _fifos(self, interfaces: list[Pragma], bundle: str) -> int:
        """Blocks of 18 Kbit of the adapter of a bundle."""
        of_bundle = [p.options for p in interfaces if p.options.get("bundle", "gmem") == bundle]
        found = 0
        for options in UNDER_WAY.values():
            depth = 1
            for option in options:
                given = [int(o[option]) for o in of_bundle if o.get(option, "").isdigit()]
                depth *= max(given, default=UNDER_WAY_DEFAULT)
            found += bram18(depth, AXI_WORD)
        return found

    def _memory(self) -> Cost:
        """LUT RAM, and the multiplexers in front of a bank that several parts of the design use."""
        cost = Cost()
        for memory in self.memories.used:
            if memory.registers:
                cost.ff += memory.banks * memory.bits
                continue
            cost.add("LUT RAM", memory.lutram)
            # Each port has one address, and one word to write: what asks for more of them takes turns.
            asked = {a.loop: (a.reads, a.writes) for a in self.memories.accesses if a.memory is memory}
            sites = [asked.get(site, (1, 0)) for site in memory.sites]
            addresses = max(sum(reads + writes for reads, writes in sites) - 2, 0)
            words = max(sum(writes > 0 for _, writes in sites) - 1, 0)
            address = max(1, (memory.depth - 1).bit_length())
            cost.add("multiplexers", memory.banks * (addresses * address + words * memory.bits) * MUX2)
            cost.ff += memory.banks * (memory.bits if memory.in_block_ram else 0)
        return cost


def _reached(start: str, ways: Mapping[str, Mapping[str, float]]) -> set[str]:
    """All that can be reached from a node of a graph."""
    found: set[str] = set()
    work = [start]
    while work:
        for name in ways.get(work.pop(), ()):
            if name not in found:
                found.add(name)
                work.append(name)
    return found
