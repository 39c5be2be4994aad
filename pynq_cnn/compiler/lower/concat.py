"""Concatenation: what is not given in its place already is copied there."""

from __future__ import annotations

from pynq_cnn.compiler.lower.lane_kernel import Window, maximum
from pynq_cnn.compiler.lower.rule import Task, lower_layer, side_by_side
from pynq_cnn.compiler.stage import Step
from pynq_cnn.model import Concat


@side_by_side.register
def _(layer: Concat) -> bool:
    return True


@lower_layer.register
def _(layer: Concat, task: Task) -> list[Step]:
    return [Step(task.name, (maximum(task, Window(), task.given[number], place),)) for number, place in task.copies]
