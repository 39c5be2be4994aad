"""A segment: neighbouring stages whose tensors pass from one to the next on the chip, as sections of a Program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import gcd

from pynq_cnn.compiler.buffers import WORD_BYTES, Buffer, round_up
from pynq_cnn.compiler.encoding import Block, Spot, compute, load_constants, move, store_results
from pynq_cnn.compiler.estimate import Section, total_cycles
from pynq_cnn.compiler.hardware import Hardware
from pynq_cnn.compiler.instructions import Instruction, Opcode, Unit
from pynq_cnn.compiler.memory import Life, place
from pynq_cnn.compiler.passes import Pass, Room, divide, total
from pynq_cnn.compiler.stage import Stage
from pynq_cnn.compiler.tiles import Tile, divisions, tile_of, whole

MOST_ITERATIONS = 2**32 - 1  # of a COMPUTE, over all images of a turn
PATIENCE = 3  # tilings that are worse, one after the other, before the search ends
MOST_BODY = 2**16 - 1  # instructions
Stored = Mapping[Buffer, tuple[Block, ...]]  # tensors that are in the Program's memory, as blocks of their pixels


@dataclass(frozen=True, eq=False)
class Plan:
    """How a segment is run.

    Parameters
    ----------
    sections : tuple of Section
        What runs it; none if it was not worth writing.
    cycles : int
        Of a batch; then at least so many.
    stored : dict
        Tensors that it leaves in the Program's memory.
    """

    sections: tuple[Section, ...]
    cycles: int
    stored: dict[Buffer, tuple[Block, ...]]


@dataclass(frozen=True, eq=False)
class Segment:
    """Stages, and what is around them.

    Parameters
    ----------
    stages : tuple of Stage
        In order.
    stored : mapping
        Tensors in memory that stages before have left.
    later : frozenset of Buffer
        Buffers that stages behind touch.
    hardware : Hardware
        What it runs on.
    images : int
        Of a batch.
    limit : int
        Cycles that a plan has to beat.
    """

    stages: tuple[Stage, ...]
    stored: Stored
    later: frozenset[Buffer]
    hardware: Hardware
    images: int
    limit: int
    lives: dict[Buffer, tuple[int, int]] = field(init=False, default_factory=dict)
    writes: dict[Buffer, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for number, stage in enumerate(self.stages):
            for view in (stage.given, stage.skip, stage.gives):
                if view is not None:
                    first, _ = self.lives.get(view.buffer, (number, number))
                    self.lives[view.buffer] = first, number
            if stage.gives is not None:
                self.writes[stage.gives.buffer] = number

    def plans(self) -> Iterator[Plan]:
        """Ways to run it that fit."""
        for work, loaded in self._works():
            best, worse = None, 0
            for tiles in self._tilings():
                found = self._plan(work, loaded, tiles)
                if found is None:
                    continue
                yield found
                worse = worse + 1 if best is not None and found.cycles >= best else 0
                best = found.cycles if best is None else min(best, found.cycles)
                if worse == PATIENCE or not self._finer_pays(loaded):
                    break
        if len(self.stages) == 1:
            yield from self._pass_by_pass()

    def _finer_pays(self, loaded: Sequence[bool]) -> bool:
        """Whether smaller tiles may be better than those that fit: more images share a load of constants, or lanes."""
        sparse = any(stage.unit is Unit.SPARSE for stage in self.stages)
        return sparse or not all(loaded)

    def _tilings(self) -> Iterator[list[Tile]]:
        yield [whole(self.stages)]
        last = self.stages[-1].gives
        stored = [buffer for buffer in self.writes if buffer in self.later]
        if last is None or stored != [last.buffer] or last.buffer.height == 1:
            return
        for rows in divisions(last.buffer.height)[1:]:
            yield [tile_of(self.stages, one) for one in rows]

    def _works(self) -> Iterator[tuple[list[list[Pass]], list[bool]]]:
        """The passes of each stage, and of which stages the constants are loaded once for the batch."""
        most = Room.of(self.hardware)
        all_of = [[Pass.whole(stage)] for stage in self.stages]
        if total(one for passes in all_of for one in passes) <= most:
            yield all_of, [True] * len(self.stages)
            return
        order = sorted(range(len(self.stages)), key=lambda n: all_of[n][0].room.tiles + all_of[n][0].room.entries)
        for streamed in range(1, len(order) + 1):
            kept = order[: len(order) - streamed]
            left = most - total(all_of[n][0] for n in kept)
            if not Room() <= left:
                continue
            work = [all_of[n] if n in kept else divide(stage, left) for n, stage in enumerate(self.stages)]
            if all(passes is not None for passes in work):
                yield [passes or [] for passes in work], [n in kept for n in range(len(self.stages))]
                return

    def _image_step(self, buffer: Buffer, size: int) -> int:
        """Bytes from one image to the next: where images are lanes, each in another bank."""
        step, simd = round_up(size, WORD_BYTES), self.hardware.simd
        for stage in self.stages:
            touched = [view.buffer for view in (stage.given, stage.gives) if view is not None]
            if stage.unit is Unit.SPARSE and buffer in touched:
                return round_up(step - 1, simd) + 1
        return step

    def _group(self, peak: int) -> int:
        """Most images of a turn, of which one takes `peak` bytes; in turns of about one size."""
        most = min(self.hardware.feature_map_bytes // max(peak, 1), self.images)
        for stage in self.stages:
            most = min(most, MOST_ITERATIONS // stage.iterations(stage.groups, 1, stage.rows.count))
            if stage.unit is Unit.SPARSE:
                most = min(most, self.hardware.lanes)
            if stage.gives is None:
                most = min(most, max(1, self.hardware.result_entries // stage.groups))
        return -(-self.images // -(-self.images // most)) if most else 0

    def _plan(
        self, work: Sequence[Sequence[Pass]], loaded: Sequence[bool], tiles: Sequence[Tile],
        block: Block | None = None,
    ) -> Plan | None:  # fmt: skip
        """The plan of one way; None if the tensors do not fit.

        Parameters
        ----------
        work, loaded
            The passes of each stage, and whether their constants are loaded once.
        tiles : sequence of Tile
            The rows that are worked on, one after the other.
        block : Block, optional
            What of the last stage's pixels is given, and where: all if there is none.
        """
        buffers = list(self.lives)
        target = self.stages[-1].gives
        pitches = {buffer: (buffer.pitch, buffer.row_pitch) for buffer in buffers}
        if block is not None and target is not None:
            pitches[target.buffer] = block.width, block.width * target.buffer.width
        steps = []
        for buffer in buffers:
            rows = max(tile.buffers[buffer][1] - tile.buffers[buffer][0] for tile in tiles)
            slack = WORD_BYTES if len(tiles) > 1 and pitches[buffer][1] % WORD_BYTES else 0
            steps.append(self._image_step(buffer, rows * pitches[buffer][1] + slack))
        _, peak = place([Life(step, *self.lives[buffer]) for step, buffer in zip(steps, buffers)])
        group = self._group(peak)
        if not group:
            return None
        least = self._least(work, loaded, tiles, group)
        if least >= self.limit:
            return Plan((), least, {})
        places, _ = place([Life(step * group, *self.lives[buffer]) for step, buffer in zip(steps, buffers)])

        once = [one for passes, first in zip(work, loaded) if first for one in passes]
        header, constants = load_constants(once, Room(), self.hardware)
        free, body = total(once), []
        stored: dict[Buffer, tuple[Block, ...]] = {}
        for buffer in self.writes:
            if buffer in self.later:
                stored[buffer] = (block or Block(f"tensor {buffer.name}", 0, buffer.pitch),)
        for tile in tiles:
            spots = {}
            for buffer, at, step in zip(buffers, places, steps):
                pitch, row_pitch = pitches[buffer]
                first, stop = tile.buffers[buffer]
                spots[buffer] = Spot(at + first * row_pitch % WORD_BYTES, step, first, stop, pitch, row_pitch)
            body += self._tile(work, loaded, tile, spots, dict(constants), free, stored, block)
        if len(header) + len(body) > MOST_BODY:
            return None
        sections = self._sections(header, body, group)
        return Plan(sections, total_cycles(sections, self.images), stored)

    def _least(self, work: Sequence[Sequence[Pass]], loaded: Sequence[bool], tiles: Sequence[Tile], group: int) -> int:
        """Cycles of the batch for the loops alone, and for the constants that are loaded with every turn."""
        turns, cycles = -(-self.images // group), 0
        for number, (passes, first) in enumerate(zip(work, loaded)):
            times = turns if passes[0].stage.unit is Unit.SPARSE else self.images
            for one in passes:
                words = 0 if first else one.room.tiles * self.hardware.words_of_a_tile(one.stage.unit is Unit.DEPTHWISE)
                rows = sum(stop - start for start, stop in (tile.outputs[number] for tile in tiles))
                cycles += turns * len(tiles) * words + times * one.stage.iterations(one.groups, one.entries, rows)
        return cycles

    def _sections(self, header: Sequence[Instruction], body: Sequence[Instruction], group: int) -> tuple[Section, ...]:
        if group >= self.images or not header:
            return (Section(group, (*header, *body)),)
        return Section(self.images, tuple(header)), Section(group, tuple(body))

    def _tile(
        self, work: Sequence[Sequence[Pass]], loaded: Sequence[bool], tile: Tile, spots: Mapping[Buffer, Spot],
        constants: dict[Pass, Room], free: Room, stored: Stored, block: Block | None,
    ) -> list[Instruction]:  # fmt: skip
        """The instructions of a tile."""
        body: list[Instruction] = []
        entries = self.hardware.result_entries
        for number, (stage, passes, rows) in enumerate(zip(self.stages, work, tile.outputs)):
            target = None if stage.gives is None else stage.gives.buffer
            touched = dict.fromkeys(view.buffer for view in (stage.given, stage.skip, stage.gives) if view is not None)
            for buffer in touched:
                if self.lives[buffer][0] == number and buffer in self.stored and not (block and buffer is target):
                    body += move(Opcode.LOAD, buffer, self.stored[buffer], spots[buffer], stage.name)
            gives = None if target is None else spots[target]
            if block is not None and gives is not None:
                gives = replace(gives, base=gives.base - block.offset)
            skip = None if stage.skip is None else spots[stage.skip.buffer]
            at_once = stage.groups <= entries  # of int32 results
            for one in passes:
                if not loaded[number]:
                    loads, there = load_constants([one], free, self.hardware)
                    body += loads
                    constants |= there
                given, first = spots[stage.given.buffer], one.first if at_once else 0
                body.append(compute(one, constants[one], rows, given, gives, skip, self.hardware, first))
                if target is None and not at_once:
                    body.append(store_results(one, self.hardware))
            if target is None and at_once:
                body.append(store_results(Pass.whole(stage), self.hardware))
            if target is not None and self.writes[target] == number and target in stored:
                body += move(Opcode.STORE, target, stored[target], spots[target], stage.name)
        return body

    def _pass_by_pass(self) -> Iterator[Plan]:
        """A stage whose constants do not fit: all images with some of them, then with the next."""
        (stage,) = self.stages
        view = stage.gives
        if view is None or not view.contiguous or view.buffer.pitch % WORD_BYTES or self._together(stage) > 1:
            return
        if view.buffer in self.stored or view.buffer not in self.later:
            return
        of_a_group = stage.width // 8 if view.bits and not stage.raw else stage.width
        passes = divide(stage, Room.of(self.hardware), WORD_BYTES // gcd(WORD_BYTES, of_a_group))
        if passes is None or len(passes) < 2:
            return
        sections: tuple[Section, ...] = ()
        blocks = []
        for one in passes:
            stop = min(one.offset + one.groups * of_a_group, view.buffer.pitch)
            block = Block(f"tensor {view.buffer.name} {one.offset}", one.offset, stop - one.offset)
            found = (self._plan([[one]], [True], tiles, block) for tiles in self._tilings())
            plan = next((plan for plan in found if plan is not None), None)
            if plan is None or not plan.sections:
                if plan is not None:
                    yield plan
                return
            sections += plan.sections
            blocks.append(block)
        yield Plan(sections, total_cycles(sections, self.images), {view.buffer: tuple(blocks)})

    @staticmethod
    def _together(stage: Stage) -> int:
        """Columns that are computed as channels of one."""
        assert stage.gives is not None
        return stage.column_bytes // stage.gives.buffer.pitch
