"""The ways to run a segment: which constants stay on the chip, in which passes and tiles the rest is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import gcd

from pynq_cnn.compiler.buffers import WORD_BYTES
from pynq_cnn.compiler.encoding import Block
from pynq_cnn.compiler.estimate import Section, total_cycles
from pynq_cnn.compiler.instructions import Unit
from pynq_cnn.compiler.passes import Pass, Room, divide, total
from pynq_cnn.compiler.segment import Plan, Segment, Way
from pynq_cnn.compiler.stage import Stage
from pynq_cnn.compiler.tiles import Tile, divisions, tile_of, whole

PATIENCE = 3  # tilings that are worse, one after the other, before the search ends


def plans(segment: Segment) -> Iterator[Plan]:
    """Ways to run it that fit."""
    work = _work(segment)
    if work is not None:
        yield from _by_tiles(segment, *work)
    if len(segment.stages) == 1:
        yield from _pass_by_pass(segment)


def _by_tiles(segment: Segment, passes: list[list[Pass]], loaded: list[bool]) -> Iterator[Plan]:
    """With images whole, or in tiles of rows, from the fewest that fit to those that are no better any more."""
    best, worse = None, 0
    for tiles in _tilings(segment):
        found = segment.plan(Way(passes, loaded, tiles))
        if found is None:
            continue
        yield found
        worse = worse + 1 if best is not None and found.cycles >= best else 0
        best = found.cycles if best is None else min(best, found.cycles)
        if worse == PATIENCE or not _finer_pays(segment, loaded):
            break


def _finer_pays(segment: Segment, loaded: Sequence[bool]) -> bool:
    """Whether smaller tiles may be better than those that fit: more images share a load of constants, or lanes."""
    sparse = any(stage.unit is Unit.SPARSE for stage in segment.stages)
    return sparse or not all(loaded)


def _tilings(segment: Segment) -> Iterator[list[Tile]]:
    yield [whole(segment.stages)]
    last = segment.stages[-1].gives
    stored = [buffer for buffer in segment.writes if buffer in segment.later]
    if last is None or stored != [last.buffer] or last.buffer.height == 1:
        return
    for rows in divisions(last.buffer.height)[1:]:
        yield [tile_of(segment.stages, one) for one in rows]


def _work(segment: Segment) -> tuple[list[list[Pass]], list[bool]] | None:
    """The passes of each stage, and of which stages the constants are loaded once for the batch: of as many as leave
    room for the others. None if some stage's do not fit in any passes.
    """
    most = Room.of(segment.hardware)
    all_of = [[Pass.whole(stage)] for stage in segment.stages]
    if total(one for passes in all_of for one in passes) <= most:
        return all_of, [True] * len(segment.stages)
    order = sorted(range(len(segment.stages)), key=lambda n: all_of[n][0].room.tiles + all_of[n][0].room.entries)
    for streamed in range(1, len(order) + 1):
        kept = order[: len(order) - streamed]
        left = most - total(all_of[n][0] for n in kept)
        if not Room() <= left:
            continue
        work = [all_of[n] if n in kept else divide(stage, left) for n, stage in enumerate(segment.stages)]
        if all(passes is not None for passes in work):
            return [passes or [] for passes in work], [n in kept for n in range(len(segment.stages))]
    return None


def _pass_by_pass(segment: Segment) -> Iterator[Plan]:
    """A stage whose constants do not fit: all images with some of them, then with the next."""
    (stage,) = segment.stages
    view = stage.gives
    if view is None or not view.contiguous or view.buffer.pitch % WORD_BYTES or _together(stage) > 1:
        return
    if view.buffer in segment.stored or view.buffer not in segment.later:
        return
    of_a_group = stage.width // 8 if view.bits and not stage.raw else stage.width
    passes = divide(stage, Room.of(segment.hardware), WORD_BYTES // gcd(WORD_BYTES, of_a_group))
    if passes is None or len(passes) < 2:
        return
    sections: tuple[Section, ...] = ()
    blocks = []
    for one in passes:
        stop = min(one.offset + one.groups * of_a_group, view.buffer.pitch)
        block = Block(f"tensor {view.buffer.name} {one.offset}", one.offset, stop - one.offset)
        found = (segment.plan(Way([[one]], [True], tiles, block)) for tiles in _tilings(segment))
        plan = next((plan for plan in found if plan is not None), None)
        if plan is None or not plan.sections:
            if plan is not None:
                yield plan
            return
        sections += plan.sections
        blocks.append(block)
    yield Plan(sections, total_cycles(sections, segment.images), {view.buffer: tuple(blocks)})


def _together(stage: Stage) -> int:
    """Columns that are computed as channels of one."""
    assert stage.gives is not None
    return stage.column_bytes // stage.gives.buffer.pitch
