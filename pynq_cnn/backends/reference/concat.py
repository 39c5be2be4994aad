"""Concatenation of channels (docs/contract/numerics.md, section 8)."""

from __future__ import annotations

import numpy as np

from pynq_cnn.backends.reference.execution import Step, execution
from pynq_cnn.model import Concat, TensorType


@execution.register
def _(layer: Concat, *given: TensorType) -> Step:
    return lambda *parts: np.concatenate(parts, axis=-1)
