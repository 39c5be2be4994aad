"""A fully connected layer is a convolution whose kernel is its whole input."""

from __future__ import annotations

from pynq_cnn.compiler.lower.conv2d import lower_convolution
from pynq_cnn.compiler.lower.rule import Task, lower_layer
from pynq_cnn.compiler.stage import Step
from pynq_cnn.model import Conv2d, Dense


@lower_layer.register
def _(layer: Dense, task: Task) -> list[Step]:
    weight = layer.weight.reshape(layer.outputs, *task.node.given[0].shape)
    conv = Conv2d(
        layer.name, weight, layer.bias, requantisation=layer.requantisation, threshold=layer.threshold, skip=layer.skip
    )
    return lower_convolution(conv, task)
