"""Requantisation: what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from pynq_cnn.errors import NetworkError
from pynq_cnn.model import Requantisation


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: Requantisation(np.ones(2, np.uint16), np.zeros(2, np.uint8)), "shift"),
        (lambda: Requantisation(np.ones(2, np.uint16), np.full(2, 48, np.uint8)), "shift"),
        (lambda: Requantisation(np.ones(2, np.uint16), np.ones(3, np.uint8)), "shift"),
        (lambda: Requantisation(np.ones(2, np.int32), np.ones(2, np.uint8)), "multiplier"),
        (lambda: Requantisation(np.ones(2, np.uint16), np.ones(2, np.uint8), 256), "zero_point"),
        (lambda: Requantisation(np.ones(2, np.uint16), np.ones(2, np.uint8), 3, -1), "low"),
    ],
)
def test_refuses(make, names):
    with pytest.raises(NetworkError, match=names):
        make()
