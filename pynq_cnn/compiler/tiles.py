"""Which rows of each tensor a tile of output rows takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pynq_cnn.compiler.buffers import Buffer
from pynq_cnn.compiler.stage import Stage

Rows = tuple[int, int]  # the first, and the one behind the last
FINEST = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024, 4096, 16384, 65535)


@dataclass(frozen=True)
class Tile:
    """Rows that are worked on together.

    Parameters
    ----------
    outputs : tuple of Rows
        Of each stage.
    buffers : dict
        Of each buffer: its rows that have to be there.
    """

    outputs: tuple[Rows, ...]
    buffers: dict[Buffer, Rows]


def whole(stages: Sequence[Stage]) -> Tile:
    """The tile of all rows."""
    buffers = {}
    for stage in stages:
        for view in (stage.given, stage.gives, stage.skip):
            if view is not None:
                buffers[view.buffer] = (0, view.buffer.height)
    return Tile(tuple((0, stage.rows.count) for stage in stages), buffers)


def tile_of(stages: Sequence[Stage], rows: Rows) -> Tile:
    """The tile that gives some rows of the last stage's output: what of the others is needed for that.

    Rows that two tiles need are computed, or loaded, for each of them.
    """
    needed: dict[Buffer, Rows] = {}
    outputs: list[Rows] = []

    def need(buffer: Buffer, first: int, stop: int) -> None:
        first = min(max(first, 0), buffer.height - 1)
        stop = max(min(stop, buffer.height), first + 1)
        before = needed.get(buffer, (first, stop))
        needed[buffer] = min(before[0], first), max(before[1], stop)

    last = stages[-1].gives
    if last is not None:
        need(last.buffer, *rows)
    for stage in reversed(stages):
        mine = (0, 1) if stage.gives is None else needed[stage.gives.buffer]
        outputs.insert(0, mine)
        need(stage.given.buffer, *((0, stage.given.buffer.height) if stage.flat else stage.rows.reach(*mine)))
        if stage.skip is not None:
            need(stage.skip.buffer, *mine)
    return Tile(tuple(outputs), needed)


def divisions(rows: int) -> list[list[Rows]]:
    """Ways to divide so many rows into tiles of about one height, the fewest tiles first.

    Examples
    --------
    >>> divisions(5)[:3]
    [[(0, 5)], [(0, 3), (3, 5)], [(0, 2), (2, 4), (4, 5)]]
    """
    found, before = [], 0
    for count in FINEST:
        height = -(-rows // count)
        if height != before:
            found.append([(first, min(first + height, rows)) for first in range(0, rows, height)])
        before = height
        if height == 1:
            break
    return found
