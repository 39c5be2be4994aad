"""Instructions by name, and the order of the blocks of a loop body."""

from __future__ import annotations

from .hardware import Unit
from .ir import Instruction


def definitions(unit: Unit) -> dict[str, Instruction]:
    """Instructions of a unit by the name of what they give."""
    found: dict[str, Instruction] | None = getattr(unit, "_definitions", None)
    if found is None:
        found = {i.name: i for i in unit.code.instructions if i.name}
        unit._definitions = found  # type: ignore[attr-defined]
    return found


def topological(unit: Unit, blocks: set[str], header: str) -> list[str]:
    """Blocks of a loop body in an order in which each comes behind all that lead to it."""
    order: list[str] = []
    state: dict[str, int] = {}

    def visit(label: str) -> None:
        stack = [(label, iter(successors(unit, label, blocks, header)))]
        state[label] = 1
        while stack:
            at, following = stack[-1]
            for target in following:
                if target not in state:
                    state[target] = 1
                    stack.append((target, iter(successors(unit, target, blocks, header))))
                    break
            else:
                order.append(at)
                stack.pop()

    visit(header)
    return order[::-1]


def successors(unit: Unit, label: str, blocks: set[str], header: str) -> list[str]:
    last = unit.code.blocks[label][-1]
    if last.opcode not in ("br", "switch"):
        return []
    return [target for target in last.labels if target in blocks and target != header]


def longest(unit: Unit, order: list[str], weights: dict[str, int]) -> int:
    """The most that any way through one iteration adds up."""
    if not weights:
        return 0
    blocks, header = set(order), order[0]
    best: dict[str, int] = {}
    for label in reversed(order):
        behind = [best[t] for t in successors(unit, label, blocks, header) if t in best]
        best[label] = weights.get(label, 0) + max(behind, default=0)
    return best[header]
