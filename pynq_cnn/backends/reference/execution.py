"""The work of one layer on a batch, by its kind: each registers itself in its own file."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch

import numpy as np

from pynq_cnn.model import Layer

Step = Callable[[np.ndarray], np.ndarray]


@singledispatch
def execution(layer: Layer) -> Step:
    """The work of one layer on a batch: uint8 [n, h, w, c] in, uint8 or int32 [n, h, w, c] out."""
    raise TypeError(f"the reference has no rule for {type(layer).__name__}")
