"""Feature maps as bytes: buffers, and views of some of a buffer's channels."""

from __future__ import annotations

from dataclasses import dataclass

WORD_BYTES = 8


def ceil_div(a: int, b: int) -> int:
    """a / b rounded up."""
    return -(-a // b)


def round_up(value: int, step: int) -> int:
    """The next multiple of `step`."""
    return ceil_div(value, step) * step


@dataclass(frozen=True, eq=False)
class Buffer:
    """The bytes of one tensor, or of several that are concatenated.

    A row is whole words, so that any rows can be moved alone; but not in the network's input, which lies in memory as
    it is.

    Parameters
    ----------
    name : str
        Of the layer that gives it.
    height, width : int
        Pixels.
    pitch : int
        Bytes of a pixel.
    row_pitch : int
        Bytes from one row to the next.
    """

    name: str
    height: int
    width: int
    pitch: int
    row_pitch: int

    @classmethod
    def of(cls, name: str, height: int, width: int, pitch: int) -> Buffer:
        """A buffer whose rows are whole words.

        Examples
        --------
        >>> Buffer.of("a", 3, 3, 3).row_pitch
        16
        """
        return cls(name, height, width, pitch, round_up(width * pitch, WORD_BYTES))

    @property
    def bytes(self) -> int:
        """Bytes of an image's tensor."""
        return self.height * self.row_pitch

    @property
    def words(self) -> int:
        """Words that it takes in memory."""
        return ceil_div(self.bytes, WORD_BYTES)


@dataclass(frozen=True)
class View:
    """Some channels of a buffer.

    Parameters
    ----------
    buffer : Buffer
        Where they are.
    offset : int
        Their first byte in each pixel.
    channels : int
        How many.
    bits : bool
        Whether 8 of them are in a byte.
    """

    buffer: Buffer
    offset: int
    channels: int
    bits: bool = False

    @property
    def bytes(self) -> int:
        """Bytes of a pixel's channels."""
        return ceil_div(self.channels, 8) if self.bits else self.channels

    @property
    def contiguous(self) -> bool:
        """Whether the pixels of a row follow each other without a gap."""
        return self.bytes == self.buffer.pitch

    def part(self, first: int, channels: int) -> View:
        """The view of some of its channels; of bits from a multiple of 8 on."""
        return View(self.buffer, self.offset + (first // 8 if self.bits else first), channels, self.bits)
