"""The accelerator's constants, as its identity registers tell them."""

from __future__ import annotations

from dataclasses import dataclass

MAGIC = 0x4E4E4350  # "PCNN", little-endian
ISA_VERSION = 1


@dataclass(frozen=True)
class Hardware:
    """What a compiled engine or a bitstream can hold (docs/contract/instruction-set.md, section 5).

    Parameters
    ----------
    pe, simd : int
        Output channels and input bytes worked on per cycle.
    parameter_groups : int
        Groups of `pe` output channels whose bias and requantisation constants fit on chip.
    input_bytes, output_bytes : int
        Sizes of the on-chip feature-map buffers, powers of two.
    weight_tiles : int
        `pe` x `simd` weight tiles that fit on chip, a power of two.
    accumulator_entries : int
        Groups of `pe` int32 results that fit on chip, a power of two.

    Examples
    --------
    >>> Hardware.from_registers(*Hardware().to_registers()) == Hardware()
    True
    """

    pe: int = 16
    simd: int = 16
    parameter_groups: int = 64
    input_bytes: int = 131072
    output_bytes: int = 65536
    weight_tiles: int = 1024
    accumulator_entries: int = 512

    def to_registers(self) -> tuple[int, int]:
        """The `geometry` and `buffers` registers that describe this hardware."""
        geometry = self.pe | self.simd << 8 | self.parameter_groups << 16
        sizes = (self.input_bytes, self.output_bytes, self.weight_tiles, self.accumulator_entries)
        buffers = sum((size.bit_length() - 1) << (8 * i) for i, size in enumerate(sizes))
        return geometry, buffers

    @classmethod
    def from_registers(cls, geometry: int, buffers: int) -> Hardware:
        """Decode the `geometry` and `buffers` registers."""
        sizes = [1 << (buffers >> (8 * i) & 0x1F) for i in range(4)]
        return cls(geometry & 0xFF, geometry >> 8 & 0xFF, geometry >> 16 & 0xFFFF, *sizes)
