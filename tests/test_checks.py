"""Integers that a caller gives."""

from __future__ import annotations

import numpy as np
import pytest
from test_network import NETWORK

from pynq_cnn.checks import integer
from pynq_cnn.compiler import compile_network
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import InputSpec


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3), np.array([3])[0]])
def test_integers_of_python_and_numpy_become_ints(value):
    assert integer("n", value, 1) == 3 and type(integer("n", value, 3, 3)) is int


@pytest.mark.parametrize("value", [0, 9, 3.0, np.float32(3), "3", None, True, np.True_, np.array([3]), [3]])
def test_anything_else_is_refused_by_name_and_value(value):
    with pytest.raises(ArgumentError, match="^n must be an integer from 1 to 8, not ") as caught:
        integer("n", value, 1, 8)
    assert repr(value) in str(caught.value)


def test_a_number_that_python_does_not_print_is_refused_too():
    with pytest.raises(ArgumentError, match="^capacity must be an integer from 1 to 65535, not .{,120}$"):
        compile_network(NETWORK, capacity=10**5000)


def test_an_input_of_numpy_integers_is_one_of_ints():
    spec = InputSpec(np.int64(8), np.uint8(9), 1, "L", (0.5,), (0.5,))
    assert spec == InputSpec(8, 9, 1, "L", (0.5,), (0.5,)) and all(type(side) is int for side in spec.shape)
