"""Products on the DSP48E1: 25 x 18 bits signed, wider ones of several, tile by tile."""

from __future__ import annotations

from dataclasses import dataclass

from .ir import Instruction
from .widths import Widths

WIDE, NARROW = 25, 18  # UG479, "DSP48E1 Slice Overview"
SMALL = 4  # bits: a product with so narrow an operand is a few adders, and no DSP
FEW_DIGITS = 4  # so many digits +1 and -1 of a constant are adders, too


@dataclass(frozen=True)
class Product:
    """A multiplication: bits of its signed operands and of the result that is used, and what it takes."""

    left: int
    right: int
    result: int
    dsp: int
    lut: int
    constant: bool = False


def tiles(left: int, right: int, result: int) -> int:
    """DSPs of a signed `left` x `right` bit product of which the low `result` bits are used.

    The lower tiles of an operand are unsigned, which costs them a bit. A tile whose product begins at or above
    `result` is not built: 32 x 32 bits into 32 are three tiles, into 64 four, as Vitis HLS reports.

    >>> tiles(25, 18, 43), tiles(32, 32, 32), tiles(33, 33, 64), tiles(32, 17, 48)
    (1, 3, 4, 2)
    """

    def starts(bits: int, size: int) -> list[int]:
        found = [0]
        while bits - found[-1] > size:
            found.append(found[-1] + size - 1)
        return found

    return min(
        sum(x + y < result for x in starts(a, WIDE) for y in starts(b, NARROW))
        for a, b in ((left, right), (right, left))
    )


def digits(number: int) -> int:
    """Digits +1 and -1 of a number in its shortest signed form.

    >>> digits(8), digits(7), digits(10)
    (1, 2, 2)
    """
    count, number = 0, abs(number)
    while number:
        if number & 1:
            count += 1
            number -= 2 - (number & 3)
        number >>= 1
    return count


def product(i: Instruction, widths: Widths) -> Product:
    """The DSPs and LUTs of a `mul`."""
    bits = i.type.bits
    asked = min(widths.asked.get(i.name, bits), bits)
    ranges = [widths.range(o) for o in i.operands]
    left, right = (min(r.multiplier_bits, asked) for r in ranges)
    result = min(asked, left + right)
    for number, other in ((0, right), (1, left)):
        if i.operands[number].constant:
            count = digits(ranges[number].low)
            if count <= FEW_DIGITS:
                return Product(
                    left, right, result, 0, max(count - 1, 0) * min(result, other + ranges[number].signed_bits), True
                )
    if min(left, right) <= SMALL:
        return Product(left, right, result, 0, max(min(left, right) - 1, 1) * min(max(left, right), result))
    return Product(left, right, result, tiles(left, right, result), 0)
