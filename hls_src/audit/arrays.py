"""Arrays as hardware: their banks, and the block RAM or LUT RAM that they take."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from .source import Array

# Depth x width of a block of 18 Kbit; with one read and one write port also 512 x 36. UG473, tables 1-11 and 1-12.
SHAPES_18K = ((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18))
SHAPE_SIMPLE = (512, 36)
# LUT RAM with one write and one read port, LUTs and bits a cell of a slice: RAM32M and RAM64M, UG474 table 2-3.
LUTRAM = ((32, 4, 6), (64, 4, 3))
SMALL_BITS = 1024  # an array without a binding below this goes to LUT RAM


@dataclass
class Memory:
    """An array as hardware. `split` has for each dimension the kind and the number of its parts."""

    array: Array
    split: tuple[tuple[str, int], ...]
    reshaped: int  # elements in a word
    type: str
    impl: str
    copies: int = 1  # two for a buffer between the processes of a DATAFLOW region
    most_reads: int = 0  # of a bank in a cycle
    most_writes: int = 0
    sites: set[str] = field(default_factory=set)  # pipelines and units that use it
    used: bool = False

    @property
    def banks(self) -> int:
        return math.prod(parts for _, parts in self.split)

    @property
    def depth(self) -> int:
        rows = math.prod(-(-size // parts) for size, (_, parts) in zip(self.array.dimensions, self.split))
        return -(-rows // self.reshaped)

    @property
    def bits(self) -> int:
        return self.array.bits * self.reshaped

    @property
    def registers(self) -> bool:
        return self.depth == 1

    @property
    def in_block_ram(self) -> bool:
        if self.registers or self.impl in ("lutram", "srl"):
            return False
        return self.impl == "bram" or self.depth * self.bits >= SMALL_BITS

    @property
    def bram18(self) -> int:
        if not self.in_block_ram:
            return 0
        copies = max(self.most_reads, 1) if self.type == "ram_1wnr" else 1
        two = self.type in ("ram_2p", "ram_t2p", "rom_2p") and self.most_reads + self.most_writes > 1
        simple = not two or (self.most_reads <= 1 and self.most_writes <= 1)
        return self.banks * self.copies * copies * bram18(self.depth, self.bits, simple)

    @property
    def lutram(self) -> int:
        """LUTs that hold it."""
        return 0 if self.in_block_ram or self.registers else self.banks * self.copies * lutram(self.depth, self.bits)


def bram18(depth: int, bits: int, simple: bool = True) -> int:
    """Blocks of 18 Kbit for `depth` words of `bits`.

    >>> bram18(8192, 8), bram18(1024, 64), bram18(512, 32), bram18(512, 32, simple=False)
    (4, 4, 1, 2)
    """
    shapes = (*SHAPES_18K, SHAPE_SIMPLE) if simple else SHAPES_18K
    return min(-(-depth // rows) * -(-bits // width) for rows, width in shapes)


def lutram(depth: int, bits: int) -> int:
    """LUTs of a LUT RAM with one write and one read port.

    >>> lutram(64, 64), lutram(16, 8)
    (88, 8)
    """
    rows, cells, width = LUTRAM[0] if depth <= 32 else LUTRAM[1]
    return -(-depth // rows) * -(-bits // width) * cells


def memory_of(array: Array) -> Memory:
    """The pragmas of an array."""
    split = [("", 1)] * len(array.dimensions)
    reshaped = 1
    for pragma in array.pragmas:
        if pragma.kind not in ("array_partition", "array_reshape"):
            continue
        how = next(
            (w for w in ("complete", "cyclic", "block") if w in (*pragma.words, pragma.options.get("type"))), "complete"
        )
        dimension = int(pragma.options.get("dim", "1"))
        for place, size in enumerate(array.dimensions):
            if dimension not in (0, place + 1):
                continue
            parts = size if how == "complete" else int(pragma.options.get("factor", "1"))
            if pragma.kind == "array_reshape":
                reshaped *= parts
                split[place] = (f"reshape {how}", 1)
            else:
                split[place] = (how, parts)
    storage = next(iter(array.find("bind_storage")), None)
    options = storage.options if storage else {}
    return Memory(array, tuple(split), reshaped, options.get("type", "").lower(), options.get("impl", "").lower())
