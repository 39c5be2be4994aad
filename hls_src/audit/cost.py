"""Amounts of LUTs and flip-flops, by kind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


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
