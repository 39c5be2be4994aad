"""Average pooling is a depthwise convolution whose weights are all 1."""

from __future__ import annotations

import numpy as np

from pynq_cnn.compiler.lower.finish import finish
from pynq_cnn.compiler.lower.lane_kernel import Window, depthwise
from pynq_cnn.compiler.lower.rule import Task, lower_layer
from pynq_cnn.compiler.stage import Step
from pynq_cnn.model import AvgPool2d


@lower_layer.register
def _(layer: AvgPool2d, task: Task) -> list[Step]:
    channels = task.node.gives.shape[2]
    done, flags = finish(np.full(channels, layer.bias), layer.requantisation, None)
    window = Window(layer.size, layer.stride, padding=layer.padding)
    return [Step(task.name, depthwise(task, window, done, flags))]
