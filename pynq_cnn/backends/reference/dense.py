"""Fully connected layer on bytes (docs/contract/numerics.md, section 2)."""

from __future__ import annotations

import numpy as np

from pynq_cnn.backends.reference.exact_matrix import ExactMatrix
from pynq_cnn.backends.reference.execution import Step, execution
from pynq_cnn.backends.reference.finish import add_skip, finish
from pynq_cnn.model import Dense, TensorType


@execution.register
def _(layer: Dense, *given: TensorType) -> Step:
    weight = ExactMatrix.of(layer.weight)

    def step(images: np.ndarray, *skipped: np.ndarray) -> np.ndarray:
        acc = (weight.product(images.reshape(len(images), -1)) + layer.bias)[:, None, None, :]
        return finish(add_skip(acc, layer.skip, skipped), layer.requantisation, layer.threshold)

    return step
