"""Some of a stage's groups of output channels, with the constants that they need on the chip."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from pynq_cnn.compiler.buffers import ceil_div
from pynq_cnn.compiler.hardware import Hardware
from pynq_cnn.compiler.instructions import Unit
from pynq_cnn.compiler.limits import PAD_VECTORS
from pynq_cnn.compiler.stage import Stage


@dataclass(frozen=True)
class Room:
    """Places in the memories of constants.

    Parameters
    ----------
    tiles, parameters, entries, pads, results : int
        Weight tiles, groups of parameters, sparse entries, pad vectors, and result entries of an image.
    """

    tiles: int = 0
    parameters: int = 0
    entries: int = 0
    pads: int = 0
    results: int = 0

    @classmethod
    def of(cls, hardware: Hardware) -> Room:
        """All that the engine has."""
        return cls(
            hardware.weight_tiles, hardware.parameter_groups, hardware.entries, PAD_VECTORS, hardware.result_entries
        )

    @property
    def all(self) -> tuple[int, int, int, int, int]:
        """The five, in order."""
        return self.tiles, self.parameters, self.entries, self.pads, self.results

    def __add__(self, other: Room) -> Room:
        return Room(*(mine + theirs for mine, theirs in zip(self.all, other.all)))

    def __sub__(self, other: Room) -> Room:
        return Room(*(mine - theirs for mine, theirs in zip(self.all, other.all)))

    def __le__(self, other: Room) -> bool:
        return all(mine <= theirs for mine, theirs in zip(self.all, other.all))


@dataclass(frozen=True, eq=False)
class Pass:
    """Neighbouring groups of a stage.

    Parameters
    ----------
    stage : Stage
        The stage.
    first, groups : int
        Which of its groups.
    """

    stage: Stage
    first: int
    groups: int

    @classmethod
    def whole(cls, stage: Stage) -> Pass:
        """All groups."""
        return cls(stage, 0, stage.groups)

    @cached_property
    def entries(self) -> int:
        """Sparse entries."""
        return sum(self.stage.entry_counts[self.first : self.first + self.groups])

    @property
    def first_parameters(self) -> int:
        """The first of the stage's groups of parameters."""
        return self.first * self._parameters_of_a_group

    @property
    def _parameters_of_a_group(self) -> int:
        if self.stage.finish is None:
            return 0
        return 2 if self.stage.tiles is not None and self._doubled else 1

    @property
    def _doubled(self) -> bool:
        return self.stage.unit is Unit.BITS and not self.stage.half

    @cached_property
    def room(self) -> Room:
        """Its needs on the chip."""
        return Room(
            self.groups * self.stage.tiles_of_a_group,
            self.groups * self._parameters_of_a_group,
            ceil_div(self.entries, 2) * 2,
            0 if self.stage.pads is None else len(self.stage.pads),
            self.groups if self.stage.gives is None else 0,
        )

    @property
    def lanes(self) -> tuple[int, int]:
        """Output channels of a column, and of the last column, from the pass's first on."""
        first, last = self.first * self.stage.width, (self.first + self.groups) * self.stage.width
        return tuple(
            max(0, min(last, channels) - first) for channels in (self.stage.channels, self.stage.last_channels)
        )  # type: ignore[return-value]

    @property
    def offset(self) -> int:
        """Bytes of a column's output before its own."""
        first = self.first * self.stage.width
        return first // 8 if self.stage.gives is not None and self.stage.gives.bits and not self.stage.raw else first


def divide(stage: Stage, room: Room, multiple: int = 1) -> list[Pass] | None:
    """Passes over a stage, each of which takes `room` at most; None if even its smallest does not fit.

    Parameters
    ----------
    stage : Stage
        What is to be divided.
    room : Room
        What there is.
    multiple : int
        All passes but the last are of a multiple of so many groups.
    """
    passes, first = [], 0
    while first < stage.groups:
        groups = _most(Pass(stage, first, stage.groups - first), room)
        if groups < stage.groups - first:
            groups -= groups % multiple
        if not groups:
            return None
        passes.append(Pass(stage, first, groups))
        first += groups
    return passes


def _most(left: Pass, room: Room) -> int:
    """How many groups, from the first of what is left on, fit."""
    if left.room <= room:
        return left.groups
    one = Pass(left.stage, left.first, 1)
    if one.room.pads > room.pads:
        return 0
    most = left.groups
    for mine, free in zip(one.room.all[:2] + one.room.all[4:], room.all[:2] + room.all[4:]):
        most = min(most, free // mine) if mine else most
    while most and Pass(left.stage, left.first, most).room.entries > room.entries:
        most -= 1
    return most


def total(passes: Iterable[Pass]) -> Room:
    """Needs of several together."""
    result = Room()
    for one in passes:
        result = result + one.room
    return result
