"""Ratios as a multiplier and a shift."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_train.quantisation.fixed_point import fixed_point
from pynq_cnn.errors import NetworkError


@given(st.floats(2.0**-32, 32767.7, allow_nan=False))
def test_fixed_point_is_as_close_as_16_bits_allow(ratio):
    (m,), (s,) = fixed_point(np.array([ratio]))
    assert 2**15 <= m < 2**16 and 1 <= s <= 47
    exact, chosen = Fraction(ratio), Fraction(int(m), 2 ** int(s))
    assert abs(chosen - exact) <= exact / 2**16
    for other in (int(m) - 1, int(m) + 1):  # no neighbour is closer
        assert abs(chosen - exact) <= abs(Fraction(other, 2 ** int(s)) - exact)


@given(st.floats(0, 2.0**-32))
def test_fixed_point_of_tiny_ratios_has_the_largest_shift(ratio):
    (m,), (s,) = fixed_point(np.array([ratio]))
    assert s == 47 or (m == 2**15 and ratio == 2.0**-32)
    assert abs(Fraction(int(m), 2 ** int(s)) - Fraction(ratio)) <= Fraction(1, 2**48)


@pytest.mark.parametrize("bad", [-1.0, float("inf"), float("nan")])
def test_fixed_point_refuses_what_does_not_fit(bad):
    with pytest.raises(NetworkError, match="no 16-bit multiplier"):
        fixed_point(np.array([0.5, bad]))


def test_fixed_point_at_the_edges():
    m, s = fixed_point(np.array([1 - 2.0**-20, 1.0, 32767.7, 2.0**-31]))
    assert m.tolist() == [32768, 32768, 65535, 32768] and s.tolist() == [15, 15, 1, 46]
    assert m.dtype == np.uint16 and s.dtype == np.uint8
