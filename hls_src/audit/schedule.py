"""Pipelines, scheduled as soon as possible into stages of 7.3 ns, as Vitis HLS plans with 10 ns less 27 %.

Reads, and what only rearranges bits, are then moved to where the first of their users is, as its scheduler keeps
lifetimes short. A value that crosses into a later stage is registered there, and what waits for more than two stages
goes through a shift register (one LUT a bit).
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .blocks import successors, topological
from .cost import Cost
from .hardware import Unit, dominators
from .ir import Instruction, Value
from .memories import Memories
from .multipliers import product
from .operations import Operations

STAGE_NS = 7.3  # UG1399, "Clock uncertainty": 27 % of 10 ns are kept for routing
READ_NS = {"bram": 3.254, "lutram": 2.32, "registers": 0.0}
DSP_STAGES = {1: 3}  # stages of a product by its DSPs, of more than one
DSP_STAGES_WIDE = 5
ROUNDS = 40
LOOP = (12, 6)  # start, flush and exit of a pipeline


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


class Scheduler:
    """The schedules of all pipelines."""

    def __init__(self, operations: Operations, memories: Memories) -> None:
        self.operations, self.memories = operations, memories
        self.schedules: list[Schedule] = []

    def pipelines(self, unit: Unit, cost: Cost) -> None:
        """Schedule the pipelines of a unit; their registers go to its cost."""
        if unit.pipelined_by:
            self._pipeline(
                unit, cost, unit.pipelined_by, unit.interval, set(unit.code.blocks), next(iter(unit.code.blocks))
            )
            return
        for loop in unit.loops:
            name, interval = unit.pipeline(loop.header)
            if name and name == loop.name:
                self._pipeline(unit, cost, name, interval, loop.blocks, loop.header)

    def _pipeline(self, unit: Unit, cost: Cost, name: str, interval: int, blocks: set[str], header: str) -> None:
        order = topological(unit, blocks, header)
        instructions = [i for label in order for i in unit.code.blocks[label]]
        inside = {i.name: i for i in instructions if i.name}
        uses: Counter[str] = Counter()
        for i in instructions:
            for o in i.operands:
                if o.name in inside:
                    uses[o.name] += 1
        absorbed = steps_of_sums(instructions, inside, uses)
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
            leaves = leaves_of(i, inside, absorbed) if i.opcode == "add" else i.operands
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
                ready[i.name] = self._tree(unit, cost, i, leaves, ready, readers, self.operations.delay(unit, i))
            else:
                delay = self.operations.delay(unit, i)
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
        roots = [
            m for a in self.memories.pointers.addresses(unit, i.operands[-1]) for m in self.memories.memories_at(a)
        ]
        if any(m.in_block_ram for m in roots):
            return at[0] + 1, READ_NS["bram"]
        if any(not m.registers for m in roots):
            return at[0] + 1, READ_NS["lutram"]
        if roots:
            return (at[0], at[1] + 2.0) if at[1] + 2.0 <= STAGE_NS else (at[0] + 1, 2.0)
        return at[0] + 1, 0.0  # a port or a field

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
        steps: list[tuple[str, set[str], float, float]] = []  # what is made, from what, and its two delays
        for i in instructions:
            if not i.name or (i.opcode == "phi" and i.block == header):
                continue
            slow = 0.0
            if i.opcode == "mul" and product(i, unit.widths).dsp:
                slow = STAGE_NS * DSP_STAGES_WIDE
            elif i.opcode == "load":
                slow = STAGE_NS
            names = {o.name for o in i.operands} | (deciding[i.block] if i.opcode == "phi" else set())
            steps.append((i.name, names, self.operations.delay(unit, i), slow))
        places = {made: place for place, (made, *_) in enumerate(steps)}
        users: dict[str, list[str]] = defaultdict(list)
        for made, names, _, _ in steps:
            for name in names:
                users[name].append(made)
        ways_to: dict[str, dict[str, float]] = {}
        for phi in carried:
            ways: dict[str, float] = {phi.name: 0.0}
            for place in sorted(places[name] for name in _reached(phi.name, users)):
                made, names, delay, slow = steps[place]
                before = [ways[name] for name in names if name in ways]
                if before:
                    ways[made] = max(before) + delay + slow
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


def steps_of_sums(instructions: list[Instruction], inside: dict[str, Instruction], uses: Mapping[str, int]) -> set[str]:
    """Additions that are only a step of another: Vitis HLS makes a balanced tree of them."""
    return {
        o.name
        for i in instructions
        if i.opcode == "add"
        for o in i.operands
        if o.name in inside and inside[o.name].opcode == "add" and uses[o.name] == 1
    }


def leaves_of(i: Instruction, inside: dict[str, Instruction], absorbed: set[str]) -> list[Value]:
    found: list[Value] = []
    for o in i.operands:
        found += leaves_of(inside[o.name], inside, absorbed) if o.name in absorbed else [o]
    return found


def _reached(start: str, ways: Mapping[str, Iterable[str]]) -> set[str]:
    """All that can be reached from a node of a graph."""
    found: set[str] = set()
    work = [start]
    while work:
        for name in ways.get(work.pop(), ()):
            if name not in found:
                found.add(name)
                work.append(name)
    return found
