"""The instructions as NumPy records (docs/contract/instruction-set.md, sections 3 to 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from functools import cache

import numpy as np

INSTRUCTION_BYTES = 128
INSTRUCTION_WORDS = INSTRUCTION_BYTES // 8


class Opcode(IntEnum):
    """Kinds of instruction."""

    SECTION = 1
    LOAD = 2
    STORE = 3
    COMPUTE = 4


class Memory(IntEnum):
    """Memories on the chip."""

    FEATURES = 0
    WEIGHTS = 1
    PARAMETERS = 2
    ENTRIES = 3
    PADS = 4
    RESULTS = 5


class Unit(IntEnum):
    """Units of COMPUTE."""

    BYTES = 0
    BITS = 1
    DEPTHWISE = 2
    MAX = 3
    OR = 4
    SPARSE = 5


class Move(IntFlag):
    """Flags of LOAD and STORE."""

    ONCE = 0
    PER_IMAGE = 1
    MERGED = 2


class Flag(IntFlag):
    """Flags of COMPUTE."""

    NONE = 0
    INT32 = 1
    SIGN = 2
    SKIP = 4
    PAD_VECTOR = 8
    ONES = 16
    HALF = 32


def _record(fields: str) -> np.dtype:
    """A record of 128 bytes of `name type offset, ...`."""
    names, formats, offsets = zip(*(field.split() for field in fields.split(",")))
    return np.dtype(
        {
            "names": names,
            "formats": [f"<{one}" for one in formats],
            "offsets": [int(offset) for offset in offsets],
            "itemsize": INSTRUCTION_BYTES,
        }
    )


_MOVE = _record(
    "opcode u1 0, memory u1 1, flags u2 2, words u4 4, address u4 8, image_stride u4 12, place u4 16, image_step u4 20,"
    "run u4 24, run_step u4 28, bursts u4 32, burst_stride u4 36, burst_step u4 40"
)
RECORDS = {
    Opcode.SECTION: _record("opcode u1 0, body u2 2, group u4 4"),
    Opcode.LOAD: _MOVE,
    Opcode.STORE: _MOVE,
    Opcode.COMPUTE: _record(
        "opcode u1 0, unit u1 1, flags u2 2, rows u2 4, cols u2 6, groups u2 8, pool_rows u1 10, pool_cols u1 11,"
        "kernel_rows u1 12, kernel_cols u1 13, chunks u2 14, iterations u4 16, in_image_step u4 20, in_base u4 24,"
        "row_step i4 28, pool_row_step i4 32, kernel_row_step i4 36, col_step i4 40, pool_col_step i4 44,"
        "kernel_col_step i4 48, group_step i4 52, first_y i2 56, y_row_step i2 58, y_pool_step i2 60,"
        "y_kernel_step i2 62, in_rows u2 64, row_bytes u4 68, first_x i4 72, weights u4 76, taps u4 80,"
        "parameters u2 84, pads u2 86, zero_point u1 88, low u1 89, pad_byte u1 90, tail_lanes u1 91, col_lanes u2 92,"
        "last_col_lanes u2 94, out_base u4 96, out_image_step u4 100, out_row_step u4 104, out_col_step u4 108,"
        "skip_base u4 112, skip_image_step u4 116, skip_row_step u4 120, skip_col_step u4 124"
    ),
}


@cache
def limits(opcode: Opcode, field: str) -> tuple[int, int]:
    """Smallest and largest value of a field.

    Examples
    --------
    >>> limits(Opcode.COMPUTE, "first_y")
    (-32768, 32767)
    """
    found = np.iinfo(RECORDS[opcode][field])
    return int(found.min), int(found.max)


@dataclass(frozen=True)
class Instruction:
    """An instruction, of which only the address in the Program's memory may still be counted from a region's start.

    Parameters
    ----------
    opcode : Opcode
        What it does.
    fields : mapping
        By name; those that are not named are 0.
    layer : str
        The layer that it is for; empty for several or none.
    region : str
        What `address` is counted from (`pynq_cnn.compiler.memory.Regions`); empty if there is no address.
    """

    opcode: Opcode
    fields: Mapping[str, int]
    layer: str = ""
    region: str = ""

    def __getitem__(self, field: str) -> int:
        return self.fields.get(field, 0)

    @classmethod
    def decode(cls, octets: np.ndarray, layer: str = "") -> Instruction:
        """The instruction of uint8 [128]."""
        opcode = Opcode(int(octets[0]))
        record = np.ascontiguousarray(octets).view(RECORDS[opcode])[0]
        return cls(opcode, {name: int(record[name]) for name in record.dtype.names if name != "opcode"}, layer)

    def encode(self, start: int = 0) -> np.ndarray:
        """uint64 [16], with `start` added to the address.

        Raises
        ------
        OverflowError
            If a value does not fit its field: a bug in the compiler, which checks every limit before.

        Examples
        --------
        >>> [hex(word) for word in Instruction(Opcode.SECTION, {"body": 2, "group": 16}).encode()[:2].tolist()]
        ['0x1000020001', '0x0']
        """
        record = np.zeros(1, RECORDS[self.opcode])
        record["opcode"] = self.opcode
        for name, value in self.fields.items():
            value = value + start if name == "address" else value
            low, high = limits(self.opcode, name)
            if not low <= value <= high:
                raise OverflowError(f"{self.layer}: {name} = {value} does not fit its field ({low} to {high})")
            record[name] = value
        return record.view("<u8").reshape(-1)
