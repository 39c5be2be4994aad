"""Channels that pruning has left useless, taken out of a network in integers: the same accumulators from less."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_train.compression.compact import compact
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.model import (
    AvgPool2d,
    Concat,
    Conv2d,
    Dense,
    InputSpec,
    MaxPool2d,
    Network,
    OutputSpec,
    Requantisation,
    Skip,
)
from pynq_cnn.zoo import load_model

SPEC = InputSpec(9, 8, 3, "RGB", (0.0,) * 3, (1.0,) * 3)


def pruned(seed: int, part: float, padding: int) -> Network:
    """Two convolutions, both poolings and three fully connected layers, most weights 0, biases of all signs."""
    random = np.random.default_rng(seed)

    def weight(*shape: int) -> np.ndarray:
        values = random.integers(-127, 128, shape, np.int8)
        return np.where(random.random(shape) < part, values, 0).astype(np.int8)

    def bias(size: int) -> np.ndarray:
        return random.integers(-3000, 3000, size).astype(np.int32)

    def constants(size: int) -> Requantisation:
        zero, low = random.integers(0, 60, 2).tolist() if seed % 2 else (0, 0)
        return Requantisation(random.integers(1, 200, size).astype(np.uint16), np.full(size, 12, np.uint8), zero, low)

    pad = (padding, padding)
    first = Conv2d("a", weight(7, 3, 3, 3), bias(7), padding=(1, 1), requantisation=constants(7))
    second = Conv2d("b", weight(6, 3, 3, 7), bias(6), padding=pad, requantisation=constants(1))
    height, width = first.output_shape((9, 8, 3))[:2]
    height, width = height // 2 + 2 * padding - 2, width // 2 + 2 * padding - 2
    layers = (
        first,
        MaxPool2d("max", 2, 2),
        second,
        AvgPool2d("mean", (height, width - 1), (1, 1), constants(6), int(random.integers(-9, 9))),
        Dense("c", weight(9, 12), bias(9), constants(9)),
        Dense("d", weight(5, 9), bias(5), constants(1)),
        Dense("e", weight(3, 5), bias(3)),
    )
    return Network("pruned", SPEC, layers, OutputSpec(np.ones(3, np.float32), np.zeros(3, np.float32)), ("x", "y", "z"))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.02, 0.1, 0.3, 0.7]), st.integers(0, 1))
def test_the_accumulators_stay_and_no_useless_channel_does(seed, part, padding):
    network = pruned(seed, part, padding)
    small = compact(network)
    images = np.random.default_rng(seed).integers(0, 256, (8, 9, 8, 3), np.uint8)
    assert np.array_equal(ReferenceBackend(small).run(images), ReferenceBackend(network).run(images))
    weighted = [layer for layer in small.layers if isinstance(layer, (Conv2d, Dense))]
    for first, second in zip(weighted, weighted[1:]):
        if first.outputs == 1:
            continue
        assert (second.weight.reshape(second.outputs, -1, first.outputs) != 0).any((0, 1)).all()
        padded = isinstance(second, Conv2d) and any(second.padding)
        assert padded or first.weight.reshape(first.outputs, -1).any(1).all()
    assert compact(small) == small


def test_what_has_no_useless_channel_stays_as_it_is():
    network = pruned(0, 1.0, 1)
    assert compact(network) == network
    lenet = load_model("lenet")
    assert compact(lenet) == lenet


def test_what_is_read_elsewhere_too_stays():
    """A residual and a concatenation behind a pruned layer: nothing of it may go, and nothing does."""
    half = Requantisation(np.array([1], np.uint16), np.array([1], np.uint8))
    plain = {"bias": np.arange(3, dtype=np.int32), "requantisation": half}
    first = Conv2d("a", np.array([[[[5]]], [[[0]]], [[[7]]]], np.int8), **plain)
    eye = np.diag([0, 2, 3]).astype(np.int8).reshape(3, 1, 1, 3)
    second = Conv2d("b", eye, **plain, skip=Skip(np.array([1], np.uint16)), inputs=("a", "a"))
    last = Conv2d("c", np.ones((2, 2, 2, 6), np.int8), np.zeros(2, np.int32), inputs=("j",))
    layers = (first, second, Concat("j", inputs=("a", "b")), last)
    spec = InputSpec(2, 2, 1, "L", (0.0,), (1.0,))
    output = OutputSpec(np.ones(2, np.float32), np.zeros(2, np.float32))
    network = Network("graph", spec, layers, output, ("x", "y"))
    images = np.random.default_rng(0).integers(0, 256, (4, 2, 2, 1), np.uint8)
    small = compact(network)
    assert np.array_equal(ReferenceBackend(small).run(images), ReferenceBackend(network).run(images))
    assert small == network


def test_groups_keep_their_channels():
    """One that is all 0 stays: without it the others would be of other groups."""
    one = Requantisation(np.array([40000], np.uint16), np.array([20], np.uint8))
    weight = np.random.default_rng(0).integers(1, 9, (6, 3, 3, 1)).astype(np.int8)
    weight[[1, 4]] = 0
    layers = (
        Conv2d("grouped", weight, np.zeros(6, np.int32), requantisation=one, groups=3),
        Dense("last", np.ones((3, 252), np.int8), np.zeros(3, np.int32)),
    )
    output = OutputSpec(np.ones(3, np.float32), np.zeros(3, np.float32))
    network = Network("groups", SPEC, layers, output, ("x", "y", "z"))
    assert compact(network) == network


@pytest.mark.parametrize("name", ["lenet5", "deepnet"])
def test_shipped_compressed_networks_have_none_left(name):
    network = load_model(name)
    assert [layer.weight.shape for layer in compact(network).layers if hasattr(layer, "weight")] == [
        layer.weight.shape for layer in network.layers if hasattr(layer, "weight")
    ]
