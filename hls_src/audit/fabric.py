"""LUTs and flip-flops of the whole: operations and pipelines of each unit, its states, the ports and the memories.

Outside of pipelines a value that leaves its basic block has a register.
"""

from __future__ import annotations

from collections import defaultdict

from .arrays import bram18
from .cost import Cost
from .hardware import Hardware, Unit
from .memories import Memories
from .operations import MUX2, Operations
from .rules import ports
from .schedule import Scheduler
from .source import Pragma

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
STATE = (2, 1)  # of a state machine, one-hot
CALL = (10, 4)  # handshake
TURN = {"load": 96, "store": 160}  # bits of a port that are chosen: address, length, and what is written


class Fabric:
    """LUTs and flip-flops of each unit, and the schedules of its pipelines."""

    def __init__(self, hardware: Hardware, memories: Memories) -> None:
        self.hardware, self.memories = hardware, memories
        self.operations = Operations(memories)
        scheduler = Scheduler(self.operations, memories)
        self.units: dict[str, Cost] = {}
        for unit in hardware.used:
            cost = self.units[unit.code.name] = Cost()
            for i in unit.code.instructions:
                kind, lut = self.operations.operation(unit, i)
                if lut:
                    cost.add(kind, lut)
            scheduler.pipelines(unit, cost)
            self._states(unit, cost)
            cost.add("multiplexers", self._turns(unit))
        self.schedules = scheduler.schedules
        self.ports = self._ports()
        self.memory = self._memory()

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

    def _turns(self, unit: Unit) -> float:
        """The multiplexers in front of a port that several pipelines and callees of a function use in turns."""
        users: dict[tuple[str, str], set[str]] = defaultdict(set)
        for i in unit.code.instructions:
            if i.callee in self.hardware.units:
                for key in self._used_ports(self.hardware.units[i.callee]):
                    users[key].add(i.callee)
        for i in unit.code.instructions:
            if i.opcode in ("load", "store"):
                for address in self.memories.pointers.addresses(unit, i.operands[-1]):
                    if address.root.startswith("port "):
                        users[(address.root, i.opcode)].add(unit.pipeline(i.block)[0] or i.block)
        masters = self._masters()
        return sum((len(by) - 1) * TURN[opcode] * MUX2 for (root, opcode), by in users.items() if root in masters)

    def _used_ports(self, unit: Unit) -> set[tuple[str, str]]:
        found = {
            (address.root, i.opcode)
            for i in unit.code.instructions
            if i.opcode in ("load", "store")
            for address in self.memories.pointers.addresses(unit, i.operands[-1])
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
