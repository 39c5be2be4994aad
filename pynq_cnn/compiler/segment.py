"""A segment: neighbouring stages whose tensors pass from one to the next on the chip, run in one way, as sections of a
Program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pynq_cnn.compiler.buffers import WORD_BYTES, Buffer, round_up
from pynq_cnn.compiler.encoding import Block, Spot, compute, load_constants, move, store_results
from pynq_cnn.compiler.estimate import Section, total_cycles
from pynq_cnn.compiler.hardware import Hardware
from pynq_cnn.compiler.instructions import Instruction, Opcode, Unit
from pynq_cnn.compiler.memory import Life, place
from pynq_cnn.compiler.passes import Pass, Room, total
from pynq_cnn.compiler.stage import Stage
from pynq_cnn.compiler.tiles import Tile

MOST_ITERATIONS = 2**32 - 1  # of a COMPUTE, over all images of a turn
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
class Way:
    """A way to run a segment.

    Parameters
    ----------
    passes : sequence of sequence of Pass
        Of each stage.
    loaded : sequence of bool
        Whether a stage's constants are loaded once for the batch, and not with every turn.
    tiles : sequence of Tile
        The rows that are worked on, one tile after the other.
    block : Block, optional
        What of the last stage's pixels is given, and where: all if there is none.
    """

    passes: Sequence[Sequence[Pass]]
    loaded: Sequence[bool]
    tiles: Sequence[Tile]
    block: Block | None = None


@dataclass(frozen=True, eq=False)
class Segment:
    """Stages, and what is around them; `pynq_cnn.compiler.ways` has the ways to run them.

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

    def plan(self, way: Way) -> Plan | None:
        """The plan of a way; None if the tensors do not fit."""
        buffers = list(self.lives)
        target, block, tiles = self.stages[-1].gives, way.block, way.tiles
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
        least = self._least(way, group)
        if least >= self.limit:
            return Plan((), least, {})
        places, _ = place([Life(step * group, *self.lives[buffer]) for step, buffer in zip(steps, buffers)])

        once = [one for passes, first in zip(way.passes, way.loaded) if first for one in passes]
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
            body += self._tile(way, tile, spots, dict(constants), free, stored)
        if len(header) + len(body) > MOST_BODY:
            return None
        sections = self._sections(header, body, group)
        return Plan(sections, total_cycles(sections, self.images), stored)

    def _least(self, way: Way, group: int) -> int:
        """Cycles of the batch for the loops alone, and for the constants that are loaded with every turn."""
        turns, cycles = -(-self.images // group), 0
        for number, (passes, first) in enumerate(zip(way.passes, way.loaded)):
            times = turns if passes[0].stage.unit is Unit.SPARSE else self.images
            for one in passes:
                words = 0 if first else one.room.tiles * self.hardware.words_of_a_tile(one.stage.unit is Unit.DEPTHWISE)
                rows = sum(stop - start for start, stop in (tile.outputs[number] for tile in way.tiles))
                cycles += turns * len(way.tiles) * words + times * one.stage.iterations(one.groups, one.entries, rows)
        return cycles

    def _sections(self, header: Sequence[Instruction], body: Sequence[Instruction], group: int) -> tuple[Section, ...]:
        if group >= self.images or not header:
            return (Section(group, (*header, *body)),)
        return Section(self.images, tuple(header)), Section(group, tuple(body))

    def _tile(
        self, way: Way, tile: Tile, spots: Mapping[Buffer, Spot], constants: dict[Pass, Room], free: Room,
        stored: Stored,
    ) -> list[Instruction]:  # fmt: skip
        """The instructions of a tile."""
        body: list[Instruction] = []
        entries, block = self.hardware.result_entries, way.block
        for number, (stage, passes, rows) in enumerate(zip(self.stages, way.passes, tile.outputs)):
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
                if not way.loaded[number]:
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
