"""The work of one layer on a batch, by its kind: each registers itself in its own file."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch

import numpy as np

from pynq_cnn.model import Layer, TensorType

Step = Callable[..., np.ndarray]


@singledispatch
def execution(layer: Layer, *given: TensorType) -> Step:
    """The work of one layer that is given tensors of these types.

    Returns
    -------
    callable
        Takes as many arrays [n, h, w, c], of uint8, and gives one, of uint8 or int32. Bits are a byte each here.
    """
    raise TypeError(f"the reference has no rule for {type(layer).__name__}")
