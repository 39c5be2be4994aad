"""A convolution of bits."""

from __future__ import annotations

import numpy as np

from pynq_cnn.compiler.lower.bit_kernel import convolve_bits
from pynq_cnn.compiler.lower.finish import finish
from pynq_cnn.compiler.lower.rule import Task, lower_layer, takes_pool
from pynq_cnn.compiler.stage import Step
from pynq_cnn.model import BinaryConv2d


@takes_pool.register
def _(layer: BinaryConv2d) -> bool:
    return True


@lower_layer.register
def _(layer: BinaryConv2d, task: Task) -> list[Step]:
    most = np.full(layer.outputs, layer.kernel[0] * layer.kernel[1] * layer.channels, np.int64)
    done, flags = finish(np.zeros(layer.outputs), None, layer.threshold, (-most, most))
    return [Step(task.name, (convolve_bits(layer, task, done, flags),))]
