"""Fully connected layer on bytes (docs/contract/numerics.md, section 2)."""

from __future__ import annotations

import numpy as np

from pynq_cnn.backends.reference.exact_matrix import ExactMatrix
from pynq_cnn.backends.reference.execution import Step, execution
from pynq_cnn.backends.reference.finish import finish
from pynq_cnn.model import Dense


@execution.register
def _(layer: Dense) -> Step:
    weight = ExactMatrix.of(layer.weight)

    def step(images: np.ndarray) -> np.ndarray:
        acc = weight.product(images.reshape(len(images), -1)) + layer.bias
        return finish(acc[:, None, None, :], layer.requantisation, layer.threshold)

    return step
