"""Addresses of loads and stores: what a pointer may be, as sums of values times constants."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass

from .blocks import definitions
from .hardware import Hardware, Unit
from .ir import Instruction, Value, strides


@dataclass(frozen=True)
class Address:
    """Where an access goes: `root` + `number` + the sum of `terms`, bytes."""

    root: str
    number: int = 0
    terms: tuple[tuple[str, int], ...] = ()


class Pointers:
    """The addresses that pointers stand for, through all functions of the hardware."""

    def __init__(self, hardware: Hardware) -> None:
        self.hardware = hardware
        self._roots: dict[tuple[str, str], set[str]] = {}

    def addresses(self, unit: Unit, value: Value, depth: int = 0) -> list[Address]:
        """All that a pointer may be: several behind a select."""
        if value.name.startswith("@"):
            return [Address(value.name, value.number or 0)]
        if depth > 12 or not value.name:
            return [Address("?")]
        i = definitions(unit).get(value.name)
        if i is None:
            return [Address(root) for root in sorted(self._argument(unit, value.name))]
        if i.opcode == "alloca":
            return [Address(f"{unit.code.name} {i.name}")]
        if i.opcode == "select":
            return self.addresses(unit, i.operands[1], depth + 1) + self.addresses(unit, i.operands[2], depth + 1)
        if i.opcode == "phi":
            found = [a for o in i.operands for a in self.addresses(unit, o, depth + 6)]
            unknown = any(a.root == "?" for a in found)
            roots = sorted({a.root for a in found if a.root != "?"})
            return [Address(root, 0, ((value.name, 1),)) for root in roots] if unknown else found
        if i.opcode == "getelementptr" and i.pointee is not None:
            terms: dict[str, int] = defaultdict(int)
            number = 0
            for step, index in strides(i.pointee, i.operands[1:]):
                inner, constant = self.linear(unit, index)
                number += step * constant
                for name, factor in inner.items():
                    terms[name] += step * factor
            return [
                Address(
                    a.root,
                    a.number + number,
                    tuple(sorted((dict(a.terms) | {n: f for n, f in terms.items() if f}).items())),
                )
                for a in self.addresses(unit, i.operands[0], depth + 1)
            ]
        return [Address("?")]

    def _argument(self, unit: Unit, name: str) -> set[str]:
        key = (unit.code.name, name)
        if key in self._roots:
            return self._roots[key]
        self._roots[key] = set()
        place = next((n for n, p in enumerate(unit.code.parameters) if p.name == name), None)
        found: set[str] = set()
        if unit.code.name == f"@{self.hardware.source.top}":
            found = {f"port {place}"}
        elif place is not None:
            for caller in self.hardware.used:
                for call in caller.code.instructions:
                    if call.callee == unit.code.name:
                        found |= {a.root for a in self.addresses(caller, call.operands[place])}
        self._roots[key] = found
        return found

    def linear(self, unit: Unit, value: Value, depth: int = 0) -> tuple[dict[str, int], int]:
        """A number as a sum of values times constants, and a constant."""
        if value.constant:
            return {}, value.number or 0
        i = definitions(unit).get(value.name)
        if i is None or depth > 16:
            return {value.name: 1}, 0
        if i.opcode in ("zext", "sext", "freeze"):
            return self.linear(unit, i.operands[0], depth + 1)
        apart = i.opcode == "or" and self._apart(unit, i)
        if i.opcode in ("add", "sub") or apart:
            left, a = self.linear(unit, i.operands[0], depth + 1)
            right, b = self.linear(unit, i.operands[1], depth + 1)
            sign = -1 if i.opcode == "sub" else 1
            terms = dict(left)
            for name, factor in right.items():
                terms[name] = terms.get(name, 0) + sign * factor
            return {n: f for n, f in terms.items() if f}, a + sign * b
        if i.opcode in ("shl", "mul") and i.operands[1].constant:
            number = i.operands[1].number or 0
            factor = 1 << number if i.opcode == "shl" else number
            terms, a = self.linear(unit, i.operands[0], depth + 1)
            return {n: f * factor for n, f in terms.items()}, a * factor
        return {value.name: 1}, 0

    def _apart(self, unit: Unit, i: Instruction) -> bool:
        """Whether the two sides of an `or` have no bit in common, so that it is a sum."""
        low, high = (self.possible(unit, o) for o in i.operands)
        if low and high:
            return all(a & b == 0 for a, b in itertools.product(low, high))
        number = next((o.number for o in i.operands if o.constant), None)
        other = next((o for o in i.operands if not o.constant), None)
        definition = definitions(unit).get(other.name) if other else None
        if number is None or definition is None:
            return False
        if definition.opcode == "shl" and definition.operands[1].constant:
            return number >= 0 and number < 1 << (definition.operands[1].number or 0)
        if definition.opcode == "and" and definition.operands[1].constant:
            return (definition.operands[1].number or 0) & number == 0
        return False

    def possible(self, unit: Unit, value: Value, depth: int = 0) -> set[int] | None:
        """The few numbers that a value can be, None if they are not known or many."""
        if value.constant:
            return {value.number or 0}
        i = definitions(unit).get(value.name)
        if i is None or depth > 8:
            return None
        if i.opcode in ("zext", "sext", "trunc", "freeze"):
            found = self.possible(unit, i.operands[0], depth + 1)
            if found is None and i.opcode == "zext" and i.operands[0].type.bits <= 3:
                return set(range(1 << i.operands[0].type.bits))
            return found
        if i.opcode in ("select", "phi"):
            sets = [self.possible(unit, o, depth + 1) for o in i.operands[1 if i.opcode == "select" else 0 :]]
            return None if any(s is None for s in sets) else set().union(*(s for s in sets if s))
        if i.opcode == "and" and i.operands[1].constant and (i.operands[1].number or 0) >= 0:
            mask = i.operands[1].number or 0
            places = [1 << b for b in range(mask.bit_length()) if mask >> b & 1]
            return (
                {sum(c) for n in range(len(places) + 1) for c in itertools.combinations(places, n)}
                if len(places) < 6
                else None
            )
        if i.opcode in ("add", "or", "xor", "shl", "sub"):
            a, b = (self.possible(unit, o, depth + 1) for o in i.operands)
            if a is None or b is None or len(a) * len(b) > 64:
                return None
            how = {
                "add": lambda x, y: x + y,
                "sub": lambda x, y: x - y,
                "or": lambda x, y: x | y,
                "xor": lambda x, y: x ^ y,
                "shl": lambda x, y: x << y,
            }[i.opcode]
            return {how(x, y) for x, y in itertools.product(a, b)}
        return None
