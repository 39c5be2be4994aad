"""Max pooling: what the layer before it takes along, or a stage of its own."""

from __future__ import annotations

from pynq_cnn.compiler.lower.lane_kernel import Window, maximum
from pynq_cnn.compiler.lower.rule import Pool, Task, lower_layer, pool_of
from pynq_cnn.compiler.stage import Step
from pynq_cnn.model import MaxPool2d


@pool_of.register
def _(layer: MaxPool2d) -> Pool | None:
    overlap = any(size > stride for size, stride in zip(layer.size, layer.stride))
    return None if overlap or any(layer.padding) else Pool(layer.size, layer.stride)


@lower_layer.register
def _(layer: MaxPool2d, task: Task) -> list[Step]:
    assert task.gives is not None  # only the last layer gives none, and it is no pooling
    window = Window(layer.size, layer.stride, padding=layer.padding)
    return [Step(task.name, (maximum(task, window, task.given[0], task.gives),))]
