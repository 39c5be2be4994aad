"""A stage: what one COMPUTE does for an image, before anything has a place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pynq_cnn.compiler.buffers import View
from pynq_cnn.compiler.instructions import Flag, Unit


@dataclass(frozen=True)
class Axis:
    """How output positions, pooling positions and kernel positions add up along one axis.

    Along the rows in rows, along the columns in bytes.

    Parameters
    ----------
    count : int
        Outputs, behind the pooling.
    step, pool_step, kernel_step : int
        From one output, pooling position or tap to the next.
    pool, kernel : int
        Positions of the pooling window, and of the kernel.
    first : int
        Where the first tap of the first output stands; negative in the padding.
    """

    count: int
    step: int = 0
    pool: int = 1
    pool_step: int = 0
    kernel: int = 1
    kernel_step: int = 0
    first: int = 0

    def reach(self, start: int, stop: int) -> tuple[int, int]:
        """First position, and the one behind the last, that the outputs from `start` to `stop` look at.

        Examples
        --------
        >>> Axis(14, 2, pool=2, pool_step=1, kernel=3, kernel_step=1, first=-1).reach(1, 3)
        (1, 7)
        """
        last = (stop - 1) * self.step + (self.pool - 1) * self.pool_step + (self.kernel - 1) * self.kernel_step
        return self.first + start * self.step, self.first + last + 1


@dataclass(frozen=True)
class Finish:
    """From accumulators on.

    Parameters
    ----------
    parameters : numpy.ndarray
        Of `packing.PARAMETERS`, one for each output channel.
    zero_point, low : int
        Of the requantisation.
    """

    parameters: np.ndarray
    zero_point: int = 0
    low: int = 0


@dataclass(frozen=True, eq=False)
class Stage:
    """One COMPUTE.

    Parameters
    ----------
    name : str
        The layers that it computes.
    unit : Unit
        What with.
    given : View
        Its input.
    gives : View or None
        Its output; None for int32 results.
    rows, cols : Axis
        Of the windows.
    in_rows, row_bytes : int
        Rows of the input, and bytes of each, that count as inside.
    width : int
        Output channels of a group.
    channels, last_channels : int
        Output channels of a column, and of the last one.
    column_bytes : int
        From one output column to the next.
    chunks : int
        Pieces of SIMD bytes of a tap.
    finish : Finish or None
        What follows the accumulators; None for maxima.
    flags : Flag
        But for those that follow from other fields.
    tiles : callable, optional
        Gives the weight tiles, uint8 [groups, tiles of a group, bytes].
    tiles_of_a_group : int
        How many.
    entries : tuple of numpy.ndarray
        Of a sparse stage: uint32 entries of each group of PE channels.
    pads : numpy.ndarray, optional
        uint8 [vectors, SIMD].
    pad_byte, tail_lanes : int
        As in the instruction.
    skip : View, optional
        What is added in the accumulator.
    """

    name: str
    unit: Unit
    given: View
    gives: View | None
    rows: Axis
    cols: Axis
    in_rows: int
    row_bytes: int
    width: int
    channels: int
    last_channels: int
    column_bytes: int
    chunks: int = 1
    finish: Finish | None = None
    flags: Flag = Flag.NONE
    tiles: Callable[[], np.ndarray] | None = None
    tiles_of_a_group: int = 0
    entries: tuple[np.ndarray, ...] = ()
    pads: np.ndarray | None = None
    pad_byte: int = 0
    tail_lanes: int = 0
    skip: View | None = None

    @property
    def groups(self) -> int:
        """Groups of output channels."""
        return -(-self.channels // self.width)

    @property
    def raw(self) -> bool:
        """Whether lanes are the bytes of a pixel, whatever is in them."""
        return self.unit in (Unit.MAX, Unit.OR)

    @property
    def half(self) -> bool:
        """Whether a group of bits is PE channels."""
        return bool(self.flags & Flag.HALF)

    @property
    def flat(self) -> bool:
        """Whether it takes its input as one row, and so all rows at once."""
        return self.in_rows != self.given.buffer.height

    @property
    def lane_unit(self) -> bool:
        """Whether lanes are channels."""
        return self.unit in (Unit.DEPTHWISE, Unit.MAX, Unit.OR)

    @cached_property
    def entry_counts(self) -> tuple[int, ...]:
        """Entries of each group."""
        return tuple(map(len, self.entries))

    def iterations(self, groups: int, entries: int, rows: int) -> int:
        """Turns of the loop for an image (SPARSE: for all), of so many groups and rows."""
        if self.unit is Unit.SPARSE:
            return rows * self.cols.count * entries
        taps = self.rows.kernel * self.cols.kernel * self.chunks + (self.skip is not None)
        return rows * self.cols.count * groups * self.rows.pool * self.cols.pool * taps


Lowered = tuple[Stage, ...]


@dataclass(frozen=True, eq=False)
class Step:
    """A layer, with the pooling behind it, in one way or another.

    Parameters
    ----------
    name : str
        The layers.
    dense : tuple of Stage
        The stages that compute it.
    sparse : tuple of Stage, optional
        Others that do, on images side by side; empty if there are none.
    """

    name: str
    dense: Lowered
    sparse: Lowered = ()
