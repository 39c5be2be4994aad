"""Where a network is cut into segments, and how each is run: what takes the fewest cycles for a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pynq_cnn.compiler.buffers import Buffer
from pynq_cnn.compiler.encoding import Block
from pynq_cnn.compiler.estimate import Section
from pynq_cnn.compiler.hardware import Hardware
from pynq_cnn.compiler.memory import INPUT_REGION, Life
from pynq_cnn.compiler.segment import Plan, Segment
from pynq_cnn.compiler.stage import Stage, Step
from pynq_cnn.compiler.ways import plans
from pynq_cnn.errors import CompileError

UNLIMITED = 2**63
LONGEST = 24  # steps of a segment: more do not fit on the chip, or are many little ones


@dataclass(frozen=True, eq=False)
class Schedule:
    """A network up to some step.

    Parameters
    ----------
    cycles : int
        Of a batch.
    plans : tuple of Plan
        Of the segments, in order.
    stored : dict
        Tensors in memory, as blocks.
    """

    cycles: int
    plans: tuple[Plan, ...]
    stored: dict[Buffer, tuple[Block, ...]]

    @property
    def sections(self) -> list[Section]:
        """All sections, in order."""
        return [section for plan in self.plans for section in plan.sections]

    def tensors(self, images: int) -> dict[str, Life]:
        """Words of a batch's tensors in memory, by region, and the sections that they live in."""
        words = {block.region: block.words(buffer) for plan in self.plans for buffer, blocks in plan.stored.items()
                 for block in blocks}  # fmt: skip
        lives: dict[str, Life] = {}
        for number, section in enumerate(self.sections):
            for instruction in section.body:
                if instruction.region in words:
                    first = lives[instruction.region].first if instruction.region in lives else number
                    lives[instruction.region] = Life(words[instruction.region] * images, first, number)
        return lives


def schedule(steps: Sequence[Step], image: Buffer, hardware: Hardware, images: int) -> Schedule:
    """The fastest schedule that is found: for every step, the best that ends there.

    Parameters
    ----------
    steps : sequence of Step
        Of the network.
    image : Buffer
        Its input.
    hardware : Hardware
        What it runs on.
    images : int
        Of a batch.

    Raises
    ------
    CompileError
        If a layer does not fit the engine, even alone; names it.
    """
    touched = [_touched(step) for step in steps]
    best: list[Schedule | None] = [Schedule(0, (), {image: (Block(INPUT_REGION, 0, image.pitch),)})]
    for stop in range(1, len(steps) + 1):
        later: frozenset[Buffer] = frozenset().union(*touched[stop:])
        found: Schedule | None = None
        for start in range(stop - 1, max(0, stop - LONGEST) - 1, -1):
            before, fits = best[start], False
            if before is None:
                continue
            for stages in _choices(steps[start:stop], images, hardware):
                limit = UNLIMITED if found is None else found.cycles - before.cycles
                for plan in plans(Segment(stages, before.stored, later, hardware, images, limit)):
                    cycles, fits = before.cycles + plan.cycles, True
                    if found is None or cycles < found.cycles:
                        found = Schedule(cycles, (*before.plans, plan), {**before.stored, **plan.stored})
            if not fits and start < stop - 1:
                break  # with more stages it takes more memory still
        best.append(found)
    result = best[-1]
    if result is None:
        stuck = steps[best.index(None) - 1]
        raise CompileError(
            f"{stuck.name}: what it needs at once, some rows of its input and one of its output, is more than the"
            f" {hardware.feature_map_bytes} bytes of feature maps that the engine has; use smaller images or fewer"
            " channels, or backend='cpu'"
        )
    return result


def _touched(step: Step) -> frozenset[Buffer]:
    views = (view for stage in step.dense for view in (stage.given, stage.gives, stage.skip))
    return frozenset(view.buffer for view in views if view is not None)


def _choices(steps: Sequence[Step], images: int, hardware: Hardware) -> list[tuple[Stage, ...]]:
    """The stages of a segment: all dense, and those sparse that are faster so."""
    dense = tuple(stage for step in steps for stage in step.dense)
    mixed = tuple(stage for step in steps for stage in _faster(step, images, hardware))
    return [dense] if mixed == dense else [dense, mixed]


def _faster(step: Step, images: int, hardware: Hardware) -> tuple[Stage, ...]:
    """A step's stages, sparse if the cycles of a turn say so, with its share of loading the constants."""
    lanes = min(images, hardware.lanes)

    def cycles(stages: tuple[Stage, ...]) -> int:
        total = 0
        for stage in stages:
            entries = sum(stage.entry_counts)
            turns = stage.iterations(stage.groups, entries, stage.rows.count)
            constants = stage.groups * stage.tiles_of_a_group * hardware.words_of_a_tile() + entries // 2
            total += turns * (1 if entries else lanes) + constants * lanes // images
        return total

    return min(filter(None, (step.dense, step.sparse)), key=cycles)
