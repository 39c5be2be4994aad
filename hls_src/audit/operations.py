"""LUTs and delay of each operation of the intermediate code by its width, as a LUT6 with its carry chain holds it.

Nothing is shared but what clang shares. A gate that only another gate takes is in the LUT of that one, and a sum of
single bits is made of compressors.
"""

from __future__ import annotations

import math
from collections import defaultdict

from .blocks import definitions
from .hardware import Unit
from .ir import Instruction
from .memories import Memories
from .multipliers import product

# LUTs a bit. A LUT6 is two LUT5 of the same inputs: two bits of a 2-input gate or of a 2:1 multiplexer (UG474,
# chapter 2).
GATE, MUX2 = 0.5, 0.5
MUX4 = 1.0  # a 4:1 multiplexer is one LUT6; wider ones of those with the slice's F7 and F8
SHIFT4 = 1.25  # two levels of a shifter: yosys 0.70 takes 1.5, the device could do with 1
EQUAL, EQUAL_NUMBER, LESS, LESS_NUMBER = 0.55, 1 / 6, 0.7, 1 / 3  # comparisons: as yosys 0.70; with a number, by inputs
POPCOUNT = 1.3  # LUTs a bit of a sum of bits: 6:3 compressors of three LUTs, then adders

# Delays in ns of the xc7z020-1 as Vitis HLS plans with them, straight lines through 8, 32 and 64 bits.
DELAYS = {
    "add": (1.60, 0.030),
    "icmp": (1.20, 0.025),
    "gate": (0.97, 0.0),
    "select": (0.70, 0.005),
    "shift": (2.2, 0.034),
}


class Operations:
    """LUTs and delays of instructions."""

    def __init__(self, memories: Memories) -> None:
        self.memories = memories
        self._users: dict[str, dict[str, list[Instruction]]] = {}
        self._bit_sums: dict[str, bool] = {}

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
        for address in self.memories.pointers.addresses(unit, i.operands[-1]):
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
