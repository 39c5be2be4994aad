"""The accelerator's constants, as its identity registers tell them."""

from __future__ import annotations

from dataclasses import dataclass

MAGIC = 0x4E4E4350  # "PCNN", little-endian
ISA_VERSION = 2


@dataclass(frozen=True)
class Hardware:
    """Sizes of a compiled engine or a bitstream (docs/contract/instruction-set.md, sections 2 and 7).

    Parameters
    ----------
    pe, simd : int
        Output channels and input bytes worked on per cycle.
    parameter_groups : int
        Groups of `pe` output channels whose bias and requantisation constants fit on chip.
    feature_map_bytes : int
        Size of the feature maps on chip, a power of two.
    weight_tiles : int
        `pe` x `simd` weight tiles that fit on chip, a power of two.
    entries : int
        Entries of sparse layers that fit on chip, a power of two.
    result_entries : int
        Groups of `pe` int32 results that fit on chip, a power of two.

    Examples
    --------
    >>> Hardware.from_registers(*Hardware().to_registers()) == Hardware()
    True
    """

    pe: int = 16
    simd: int = 16
    parameter_groups: int = 64
    feature_map_bytes: int = 262144
    weight_tiles: int = 1024
    entries: int = 4096
    result_entries: int = 64

    @property
    def lanes(self) -> int:
        """Channels that depthwise convolution and pooling work on per cycle."""
        return min(self.pe, self.simd)

    def words_of_a_tile(self, depthwise: bool = False) -> int:
        """64-bit words that a weight tile has in memory: of a depthwise layer one vector."""
        return (1 if depthwise else self.pe) * self.simd // 8

    def to_registers(self) -> tuple[int, int]:
        """The `geometry` and `buffers` registers that describe this hardware."""
        geometry = self.pe | self.simd << 8 | self.parameter_groups << 16
        sizes = (self.feature_map_bytes, self.weight_tiles, self.entries, self.result_entries)
        buffers = sum((size.bit_length() - 1) << (8 * i) for i, size in enumerate(sizes))
        return geometry, buffers

    @classmethod
    def from_registers(cls, geometry: int, buffers: int) -> Hardware:
        """Decode the `geometry` and `buffers` registers."""
        sizes = [1 << (buffers >> (8 * i) & 0x1F) for i in range(4)]
        return cls(geometry & 0xFF, geometry >> 8 & 0xFF, geometry >> 16 & 0xFFFF, *sizes)
