"""Fully connected layer: how one is drawn, its loops, what it refuses."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.rule import Drawing, Values, naive, naive_finish
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import BIT, Dense, Skip, TensorType
from pynq_cnn.model.tensor import bytes_of


def draw_dense(drawing: Drawing, name: str, given: TensorType, outputs: int, last: bool = False, **options) -> Dense:
    """Over all of a tensor of bytes, to bytes, or to accumulators."""
    inputs = int(np.prod(given.shape))
    requantisation = None if last else drawing.requantisation(inputs, outputs)
    return Dense(name, drawing.weights((outputs, inputs)), drawing.bias(outputs), requantisation, **options)


@naive.register
def _(layer: Dense, given: tuple[TensorType, ...], values: Values, *skipped: Values) -> Values:
    """Section 2: the sum over the flattened input, in HWC order."""
    flat, pixel = [v for row in values for column in row for v in column], []
    for o, taps in enumerate(layer.weight.tolist()):
        acc = int(layer.bias[o]) + sum(a * b for a, b in zip(flat, taps))
        if layer.skip is not None:
            acc += int(layer.skip.multiplier[o % len(layer.skip.multiplier)]) * skipped[0][0][0][o]
        pixel.append(naive_finish(acc, layer, o))
    return [[pixel]]


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: Dense("d", np.ones((2, 3, 3), np.int8), np.zeros(2, np.int32)), "d.weight"),
        (lambda: Dense("d", np.ones((2, 3), np.int8), np.zeros(2, np.int32)).output(bytes_of((1, 2, 2))), "has 4"),
        (
            lambda: Dense("d", np.ones((2, 3), np.int8), np.zeros(2, np.int32)).output(TensorType(BIT, (1, 1, 3))),
            "d takes uint8",
        ),
        (
            lambda: Dense(
                "d", np.ones((2, 3), np.int8), np.zeros(2, np.int32), skip=Skip(np.ones(1, np.uint16))
            ).output(bytes_of((1, 1, 3)), bytes_of((1, 1, 3))),
            "is to add",
        ),
    ],
)
def test_refuses(make, names):
    with pytest.raises(NetworkError, match=names):
        make()


def test_accumulator_overflow_is_refused_at_the_exact_bound():
    """255 * 127 * 66311 + bias: the first bias that could reach 2^31 is refused, the one before is not (numerics,
    section 2).
    """
    weight = np.full((1, 66311), 127, np.int8)
    room = 2**31 - 1 - 255 * 127 * 66311
    Dense("d", weight, np.array([room], np.int32))
    with pytest.raises(NetworkError, match="channel 0 could reach"):
        Dense("d", weight, np.array([room + 1], np.int32))
    Dense("d", -weight, np.array([-room - 1], np.int32))
    with pytest.raises(NetworkError, match="int32"):
        Dense("d", -weight, np.array([-room - 2], np.int32))


def test_partial_sums_count_even_where_the_total_would_fit():
    weight = np.concatenate([np.full(66311, 127), np.full(66311, -127)]).astype(np.int8)[None]
    with pytest.raises(NetworkError, match="int32"):
        Dense("d", weight, np.array([2**20], np.int32))


@pytest.mark.once
@settings(max_examples=60)
@given(st.integers(1, 5), st.integers(66_300, 66_320), st.integers(0, 2**32 - 1))
def test_accumulator_bound_is_exact_in_any_blocks(outputs, inputs, seed):
    """Against the sums in Python's own integers, for weights near the bound and bias on either side, added up in blocks
    of any size.
    """
    rng = np.random.default_rng(seed)
    weight = rng.choice(np.array([127, 127, 127, 126, -127], np.int8), (outputs, inputs))
    bias = rng.integers(-(2**31), 2**31, outputs).astype(np.int32)
    fits = True
    for row, start in zip(weight.astype(object), bias.tolist()):
        positive, negative = 255 * sum(row[row > 0]), 255 * sum(row[row < 0])
        fits = fits and max(start, 0) + positive < 2**31 and min(start, 0) + negative >= -(2**31)
    for block in (1000, 1 << 20):
        with patch("pynq_cnn.model.layers.accumulator.BLOCK", block):
            if fits:
                Dense("d", weight, bias)
            else:
                with pytest.raises(NetworkError, match="could reach"):
                    Dense("d", weight, bias)
