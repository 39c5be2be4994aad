"""Layers refuse everything that docs/contract/numerics.md forbids, and name it."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pynq_cnn.errors import NetworkError
from pynq_cnn.model import BIT, UINT8, AvgPool2d, BinaryConv2d, Conv2d, Dense, MaxPool2d, Requantisation, Threshold

W = np.ones((2, 3, 3, 1), np.int8)
B = np.zeros(2, np.int32)


def constants(n: int = 2) -> Requantisation:
    return Requantisation(np.ones(n, np.uint16), np.ones(n, np.uint8))


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: Conv2d("c", W.astype(np.int16), B), "c.weight"),
        (lambda: Conv2d("c", np.full_like(W, -128), B), "-127"),
        (lambda: Conv2d("c", W[0], B), "c.weight"),
        (lambda: Conv2d("c", W.tolist(), B), "list"),
        (lambda: Conv2d("c", W[:0], B[:0]), "empty"),
        (lambda: Conv2d("c", W, B[:1]), "c.bias"),
        (lambda: Conv2d("c", W, B.astype(np.int64)), "int64"),
        (lambda: Conv2d("c", W, B, stride=(0, 1)), "c.stride"),
        (lambda: Conv2d("c", W, B, stride=(1.5, 1)), "c.stride"),
        (lambda: Conv2d("c", W, B, stride=(True, 1)), "c.stride"),
        (lambda: Conv2d("c", W, B, padding=(3, 0)), "smaller than the kernel"),
        (lambda: Conv2d("c", W, B, padding=(-1, 0)), "c.padding"),
        (lambda: Conv2d("c", W, B, requantisation=constants(3)), "c.requantisation"),
        (lambda: Conv2d("c", W, B, requantisation="no"), "'no'"),
        (lambda: Conv2d("c", W, B, pad_value=np.zeros(2, np.uint8)), "pad_value"),
        (lambda: Conv2d("c/d", W, B), "'c/d'"),
        (lambda: Conv2d("..", W, B), r"'\.\.'"),
        (lambda: Dense("d", W, B), "d.weight"),
        (lambda: MaxPool2d("p", 0, 2), "p.size"),
        (lambda: MaxPool2d("p", 2, 256), "p.stride"),
        (lambda: Conv2d("c", W, B, requantisation=constants(), threshold=Threshold(B)), "both"),
        (lambda: Conv2d("c", W, B, threshold=Threshold(B[:1])), "c.threshold"),
        (lambda: Conv2d("c", W, B, threshold=constants()), "c.threshold"),
        (lambda: Threshold(B.astype(np.int64)), "int64"),
        (lambda: BinaryConv2d("b", np.zeros((2, 1, 1, 1), np.uint64), 65), "b.weight"),
        (lambda: BinaryConv2d("b", np.full((2, 1, 1, 1), 1 << 63, np.uint64), 63), "past its 63 channels"),
        (lambda: BinaryConv2d("b", np.zeros((2, 1, 1, 1), np.int64), 64), "b.weight"),
        (lambda: BinaryConv2d("b", np.zeros((2, 1, 1, 0), np.uint64), 0), "b.channels"),
        (lambda: BinaryConv2d("b", np.zeros((2, 1, 1, 1), np.uint64), 3, padding=(1, 0)), "b.padding"),
        (lambda: AvgPool2d("a", (2, 0), (1, 1)), "a.size"),
        (lambda: AvgPool2d("a", (2, 2), (1, 1), "no"), "a.requantisation"),
        (lambda: AvgPool2d("a", (2, 2), (1, 1), constants(3)).output_shape((2, 2, 4)), "4 values"),
        (lambda: Requantisation(np.ones(2, np.uint16), np.zeros(2, np.uint8)), "shift"),
        (lambda: Requantisation(np.ones(2, np.uint16), np.full(2, 48, np.uint8)), "shift"),
        (lambda: Requantisation(np.ones(2, np.int32), np.ones(2, np.uint8)), "multiplier"),
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


def test_layers_keep_their_own_read_only_arrays():
    weight = W.copy()
    layer = Conv2d("c", weight, B)
    weight[:] = 9
    assert (layer.weight == 1).all()
    with pytest.raises(ValueError, match="read-only"):
        layer.weight[0] = 2
    assert layer == Conv2d("c", W, B) != Conv2d("c", W * 2, B)


@pytest.mark.parametrize(("shape", "message"), [((5, 5, 2), "channels"), ((2, 5, 1), "larger than its padded input")])
def test_conv_input_must_fit(shape, message):
    with pytest.raises(NetworkError, match=message):
        Conv2d("c", W, B).output_shape(shape)


def test_edges_are_typed():
    """Bytes into binary layers and bits into byte layers are refused; max pooling takes both and gives what it got."""
    binary = BinaryConv2d.from_signs("b", np.ones((2, 1, 1, 3)), threshold=Threshold(B))
    assert binary.output_type(BIT) is BIT
    with pytest.raises(NetworkError, match="b takes bit, but the layer before it gives uint8"):
        binary.output_type(UINT8)
    with pytest.raises(NetworkError, match="c takes uint8, but the layer before it gives bit"):
        Conv2d("c", W, B).output_type(BIT)
    pool = MaxPool2d("p", 2, 2)
    assert (pool.output_type(BIT), pool.output_type(UINT8)) == (BIT, UINT8)


def test_sign_of_zero_is_plus_one():
    signs = np.array([0.0, -0.0, 1e-30, -1e-30])[None, None, None]
    assert BinaryConv2d.from_signs("b", signs).signs().ravel().tolist() == [1, 1, 1, -1]


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
