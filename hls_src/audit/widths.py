"""How many bits a value really has, from where it comes; and how many are asked of it, from where it goes.

Each value of n bits has an interval read as a signed and one read as an unsigned number. Masks, extensions, shifts,
limits (min, max, select) narrow it; a value carried around a loop and a value from memory have all bits of their
type.
"""

from __future__ import annotations

from dataclasses import dataclass

from .ir import BINARY, Code, Instruction, Module, Value

ROUNDS = 3  # a value that still grows after so many passes over the function gets all its bits


@dataclass(frozen=True)
class Range:
    """`low..high` as a signed number of `bits` bits and `least..most` as an unsigned one."""

    bits: int
    low: int
    high: int
    least: int
    most: int

    @staticmethod
    def full(bits: int) -> Range:
        return Range(bits, -(1 << (bits - 1)), (1 << (bits - 1)) - 1, 0, (1 << bits) - 1)

    @staticmethod
    def of(bits: int, low: int, high: int, least: int, most: int) -> Range:
        """The two readings, each all of the type where it does not fit, made sharper by one another."""
        half, whole = 1 << (bits - 1), 1 << bits
        if low < -half or high >= half or low > high:
            low, high = -half, half - 1
        if least < 0 or most >= whole or least > most:
            least, most = 0, whole - 1
        if most < half:
            low, high = max(low, least), min(high, most)
        elif low >= 0:
            least, most = max(least, low), min(most, high)
        return Range(bits, low, high, least, most)

    @staticmethod
    def number(bits: int, number: int) -> Range:
        signed = ((number + (1 << (bits - 1))) % (1 << bits)) - (1 << (bits - 1))
        return Range(bits, signed, signed, number % (1 << bits), number % (1 << bits))

    def join(self, other: Range) -> Range:
        return Range(
            self.bits,
            min(self.low, other.low),
            max(self.high, other.high),
            min(self.least, other.least),
            max(self.most, other.most),
        )

    @property
    def signed_bits(self) -> int:
        """Bits as a signed number, its sign among them."""
        return max((-self.low - 1).bit_length() if self.low < 0 else 0, max(self.high, 0).bit_length()) + 1

    @property
    def multiplier_bits(self) -> int:
        """Bits of a signed multiplier's operand."""
        return min(self.signed_bits, self.most.bit_length() + 1, self.bits if self.low < 0 else 1 << 30)

    @property
    def useful_bits(self) -> int:
        """Wires of which not all are copies of one another."""
        return max(1, min(self.signed_bits, self.most.bit_length()))


class Widths:
    """Ranges of all values of a function, and the low bits that are asked of each."""

    def __init__(self, code: Code, arguments: dict[str, Range] | None = None) -> None:
        self.code = code
        self.known: dict[str, Range] = dict(arguments or {})
        for parameter in code.parameters:
            if parameter.type.kind == "int":
                self.known.setdefault(parameter.name, Range.full(parameter.type.bits))
        self._makers = {i.name: i for i in code.instructions if i.name}
        self._forward()
        self.asked: dict[str, int] = {}
        self._backward()

    def range(self, value: Value) -> Range:
        bits = value.type.bits or 64
        if value.constant:
            return Range.number(bits, value.number or 0)
        return self.known.get(value.name, Range.full(bits))

    def width(self, instruction: Instruction) -> int:
        """Bits of the result that need hardware: neither copies nor unasked for."""
        if instruction.type.kind != "int":
            return 0
        known = self.known.get(instruction.name)
        return min(known.useful_bits if known else instruction.type.bits, self.asked.get(instruction.name, 0) or 1)

    def zeros(self, value: Value, depth: int = 0) -> int:
        """Low bits that are always zero."""
        if value.constant:
            number = value.number or 0
            return (number & -number).bit_length() - 1 if number else value.type.bits
        i = self._makers.get(value.name)
        if i is None or depth > 6:
            return 0
        if i.opcode in ("zext", "sext", "trunc"):
            return self.zeros(i.operands[0], depth + 1)
        if i.opcode == "shl" and i.operands[1].constant:
            return self.zeros(i.operands[0], depth + 1) + (i.operands[1].number or 0)
        if i.opcode in ("lshr", "ashr") and i.operands[1].constant:
            return max(self.zeros(i.operands[0], depth + 1) - (i.operands[1].number or 0), 0)
        if i.opcode == "and":
            return max(self.zeros(o, depth + 1) for o in i.operands)
        if i.opcode in ("add", "sub", "or", "xor"):
            return min(self.zeros(o, depth + 1) for o in i.operands)
        if i.opcode == "mul":
            return sum(self.zeros(o, depth + 1) for o in i.operands)
        return 0

    def _forward(self) -> None:
        instructions = [i for i in self.code.instructions if i.name and i.type.kind == "int"]
        for step in range(ROUNDS + 60):
            changed = False
            for i in instructions:
                found = self._result(i, step)
                if found is not None and found != self.known.get(i.name):
                    if step >= ROUNDS and i.name in self.known:
                        found = Range.full(i.type.bits) if i.opcode == "phi" else found
                    changed = changed or found != self.known.get(i.name)
                    self.known[i.name] = found
            if not changed:
                break

    def _result(self, i: Instruction, step: int) -> Range | None:
        bits = i.type.bits
        if i.opcode == "phi":
            seen = [self.range(o) for o in i.operands if o.constant or o.name in self.known]
            if not seen:
                return None
            found = seen[0]
            for other in seen[1:]:
                found = found.join(other)
            return found
        if i.opcode == "select":
            return self.range(i.operands[1]).join(self.range(i.operands[2]))
        if i.opcode == "icmp":
            return Range.of(1, -1, 0, 0, 1)
        operands = [self.range(o) for o in i.operands if o.type.kind == "int"]
        if i.opcode in ("zext", "sext", "trunc", "freeze") and operands:
            a = operands[0]
            if i.opcode == "zext":
                return Range.of(bits, a.least, a.most, a.least, a.most)
            if i.opcode == "sext":
                return Range.of(bits, a.low, a.high, a.low, a.high)
            return Range.of(bits, a.low, a.high, a.least, a.most)
        if i.opcode in BINARY:
            return _binary(i, bits, *operands)
        if i.opcode == "call":
            return _call(i, bits, operands)
        return Range.full(bits)

    def _backward(self) -> None:
        """Bits from the lowest on that somebody looks at."""
        by_name = self._makers
        work: list[str] = []

        def ask(value: Value, bits: int) -> None:
            bits = min(bits, value.type.bits)
            if value.name in by_name and bits > self.asked.get(value.name, 0):
                self.asked[value.name] = bits
                work.append(value.name)

        through = {"add", "sub", "mul", "and", "or", "xor", "select", "phi", "shl", "trunc", "zext", "sext", "freeze"}
        for i in self.code.instructions:
            if i.opcode not in through:
                for operand in i.operands:
                    if operand.type.kind == "int":
                        ask(operand, operand.type.bits)
        while work:
            i = by_name[work.pop()]
            bits = self.asked[i.name]
            if i.opcode not in through:
                continue
            for place, operand in enumerate(i.operands):
                if operand.type.kind != "int":
                    continue
                if i.opcode == "select" and place == 0:
                    ask(operand, 1)
                elif i.opcode == "shl":
                    amount = i.operands[1]
                    ask(operand, bits - (amount.number or 0) if place == 0 and amount.constant else operand.type.bits)
                elif i.opcode == "and" and any(o.constant for o in i.operands):
                    mask = next(o.number or 0 for o in i.operands if o.constant) % (1 << operand.type.bits)
                    ask(operand, min(bits, mask.bit_length()))
                else:
                    ask(operand, bits)


def _binary(i: Instruction, bits: int, a: Range, b: Range) -> Range:
    everything = Range.full(bits)
    if i.opcode == "add":
        return Range.of(bits, a.low + b.low, a.high + b.high, a.least + b.least, a.most + b.most)
    if i.opcode == "sub":
        return Range.of(bits, a.low - b.high, a.high - b.low, a.least - b.most, a.most - b.least)
    if i.opcode == "mul":
        corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
        return Range.of(bits, min(corners), max(corners), a.least * b.least, a.most * b.most)
    constant = i.operands[1].constant
    if i.opcode == "shl":
        if not constant:
            if b.most < 64 and a.low >= 0:
                return Range.of(bits, a.low, a.high << b.most, a.least, a.most << b.most)
            return everything
        n = b.least
        return Range.of(bits, a.low << n, a.high << n, a.least << n, a.most << n)
    if i.opcode == "lshr":
        least, most = a.least >> min(b.most, bits), a.most >> min(b.least, bits)
        return Range.of(bits, least, most, least, most)
    if i.opcode == "ashr":
        near, far = min(b.least, bits), min(b.most, bits)
        low = a.low >> (near if a.low < 0 else far)
        high = a.high >> (far if a.high < 0 else near)
        least, most = (low, high) if a.low >= 0 else (-1, -1)
        return Range.of(bits, low, high, least, most)
    if i.opcode == "and":
        most = min(a.most, b.most)
        if constant and b.low < 0 and b.low & -b.low == -b.low:  # clears low bits
            return Range.of(bits, a.low & b.low, a.high & b.low, a.least & b.most, a.most & b.most)
        if a.low < 0 and b.low < 0:
            return Range.of(bits, -(1 << max(a.signed_bits, b.signed_bits) - 1), max(a.high, b.high, -1), 0, most)
        return Range.of(bits, 0, most, 0, most)
    if i.opcode in ("or", "xor"):
        most = (1 << max(a.most.bit_length(), b.most.bit_length())) - 1
        low = -(1 << max(a.signed_bits, b.signed_bits) - 1)
        return Range.of(bits, low if a.low < 0 or b.low < 0 else 0, -low - 1, 0, most)
    if i.opcode == "urem":
        return Range.of(bits, 0, max(b.most - 1, 0), 0, max(b.most - 1, 0))
    if i.opcode == "udiv":
        return Range.of(bits, 0, a.most, 0, a.most)
    return everything


def _call(i: Instruction, bits: int, operands: list[Range]) -> Range:
    if len(operands) >= 2:
        a, b = operands[:2]
        if i.callee.startswith("@llvm.smax"):
            return Range.of(bits, max(a.low, b.low), max(a.high, b.high), 0, -1)
        if i.callee.startswith("@llvm.smin"):
            return Range.of(bits, min(a.low, b.low), min(a.high, b.high), 0, -1)
        if i.callee.startswith("@llvm.umax"):
            return Range.of(bits, 1, 0, max(a.least, b.least), max(a.most, b.most))
        if i.callee.startswith("@llvm.umin"):
            return Range.of(bits, 1, 0, min(a.least, b.least), min(a.most, b.most))
        if i.callee.startswith("@llvm.usub.sat"):
            return Range.of(bits, 1, 0, max(a.least - b.most, 0), a.most)
    if i.callee.startswith("@llvm.ctpop"):
        return Range.of(bits, 0, bits, 0, bits) if bits > 2 else Range.full(bits)
    return Range.full(bits)


def all_widths(module: Module, top: str) -> dict[str, Widths]:
    """Widths of every function that `top` reaches, callers first, so that arguments are as narrow as what is passed."""
    order: list[str] = []

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            return  # recursion: a rule of its own
        for i in module.functions[name].instructions:
            if i.callee in module.functions:
                visit(i.callee, (*above, name))
        if name not in order:
            order.append(name)

    visit(top, ())
    passed: dict[str, dict[str, Range]] = {}
    found: dict[str, Widths] = {}
    for name in reversed(order):
        widths = found[name] = Widths(module.functions[name], passed.get(name))
        for i in module.functions[name].instructions:
            if i.callee not in module.functions:
                continue
            into = passed.setdefault(i.callee, {})
            for parameter, operand in zip(module.functions[i.callee].parameters, i.operands):
                if operand.type.kind == "int":
                    given = widths.range(operand)
                    into[parameter.name] = into[parameter.name].join(given) if parameter.name in into else given
    return found
