"""Layers refuse everything that docs/numerics.md forbids, and name it."""

from __future__ import annotations

import numpy as np
import pytest

from pynq_cnn.errors import NetworkError
from pynq_cnn.model import Conv2d, Dense, MaxPool2d, Requantisation

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
        (lambda: Conv2d("c", W, B, requantisation=constants(3)), "c.multiplier"),
        (lambda: Conv2d("c", W, B, requantisation="no"), "'no'"),
        (lambda: Conv2d("c", W, B, pad_value=np.zeros(2, np.uint8)), "pad_value"),
        (lambda: Conv2d("c/d", W, B), "'c/d'"),
        (lambda: Conv2d("..", W, B), r"'\.\.'"),
        (lambda: Dense("d", W, B), "d.weight"),
        (lambda: MaxPool2d("p", 0, 2), "p.size"),
        (lambda: MaxPool2d("p", 2, 256), "p.stride"),
        (lambda: Requantisation(np.ones(2, np.uint16), np.zeros(2, np.uint8)), "shift"),
        (lambda: Requantisation(np.ones(2, np.uint16), np.full(2, 48, np.uint8)), "shift"),
        (lambda: Requantisation(np.ones(2, np.int32), np.ones(2, np.uint8)), "multiplier"),
    ],
)
def test_refuses(make, names):
    with pytest.raises(NetworkError, match=names):
        make()


def test_accumulator_overflow_is_refused_at_the_exact_bound():
    """255 * 127 * 66311 + bias: the first bias that could reach 2^31 is refused, the one before is not (numerics, section 2)."""
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
