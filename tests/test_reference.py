"""The reference against loops that transcribe docs/contract/numerics.md one number at a time, in Python's unbounded
integers.
"""

from __future__ import annotations

import tracemalloc

import layers.test_concat  # noqa: F401  which registers its loops; the other kinds come with the strategies
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layers.rule import naive, naive_requantise
from strategies import binary_networks, graphs, networks, random_images
from test_network import NETWORK

from pynq_cnn.backends.reference import ExactMatrix, ReferenceBackend, requantise
from pynq_cnn.errors import ArgumentError, BackendError
from pynq_cnn.model import Network, Requantisation


def by_loops(network: Network, image: np.ndarray) -> list[int]:
    """Every layer pixel by pixel, by the loops of its kind's file."""
    tensors = {"input": image.tolist()}
    for node in network.nodes:
        tensors[node.name] = naive(node.layer, node.given, *(tensors[name] for name in node.inputs))
    return tensors[network.layers[-1].name][0][0]


@settings(max_examples=60)
@given(networks(max_side=7, max_channels=5), st.integers(0, 2**16))
def test_reference_is_the_contract(network, seed):
    images = random_images(network, 2, seed)
    assert ReferenceBackend(network).run(images).tolist() == [by_loops(network, image) for image in images]


@settings(max_examples=60)
@given(binary_networks(max_side=6), st.integers(0, 2**16))
def test_reference_is_the_contract_for_bits(network, seed):
    images = random_images(network, 2, seed)
    assert ReferenceBackend(network).run(images).tolist() == [by_loops(network, image) for image in images]


@settings(max_examples=300)
@given(graphs(max_side=7), st.integers(0, 2**16))
def test_reference_is_the_contract_for_graphs(network, seed):
    images = random_images(network, 2, seed)
    assert ReferenceBackend(network).run(images).tolist() == [by_loops(network, image) for image in images]


@given(
    st.integers(-(2**31), 2**31 - 1),
    st.integers(0, 65535),
    st.integers(1, 47),
    st.integers(0, 255),
    st.integers(0, 255),
)
def test_requantise(acc, m, s, z, low):
    constants = Requantisation(np.array([m], np.uint16), np.array([s], np.uint8), z, low)
    assert requantise(np.array([[acc]], np.int32), constants).tolist() == [[naive_requantise(acc, m, s, z, low)]]


@pytest.mark.parametrize("inputs", [500, 519, 1040, 4100, 4200, 66000])
def test_sums_are_exact_beyond_float32(inputs):
    """255 * 127 * 519 is the first that passes 2^24; an odd bias shows a lost last bit."""
    x, w = np.full((1, inputs), 255, np.uint8), np.full((1, inputs), 127, np.int8)
    assert (ExactMatrix.of(w).product(x) + np.array([1], np.int32)).item() == 255 * 127 * inputs + 1


@given(st.integers(1, 6000), st.sampled_from([1, 40, 127]), st.integers(0, 2**32 - 1))
def test_products_are_exact(inputs, largest, seed):
    """In one part, in several, and in float64."""
    rng = np.random.default_rng(seed)
    x, w = rng.integers(0, 256, (2, inputs), np.uint8), rng.integers(-largest, largest + 1, (3, inputs), np.int8)
    matrix = ExactMatrix.of(w)
    assert np.array_equal(matrix.product(x), x.astype(np.int64) @ w.T.astype(np.int64))
    assert all(
        255 * np.abs(part).sum(0).max() < (2**24 if part.dtype == np.float32 else 2**53) for part in matrix.parts
    )


@settings(max_examples=20)
@given(networks(max_side=8, max_channels=6), st.integers(1, 7), st.integers(1, 4))
def test_batches_change_nothing(network, n, batch):
    images = random_images(network, n, 3)
    assert np.array_equal(ReferenceBackend(network, batch).run(images), ReferenceBackend(network).run(images))
    assert ReferenceBackend(network).run(images[:0]).shape == (0, len(network.output.scale))


def test_arguments():
    for batch in (0, -1, 65536, 1.5, True, "8"):
        with pytest.raises(ArgumentError, match="batch"):
            ReferenceBackend(NETWORK, batch)
    with pytest.raises(ArgumentError, match="network"):
        ReferenceBackend("lenet")
    with ReferenceBackend(NETWORK) as backend, pytest.raises(ArgumentError, match="uint8"):
        backend.run(np.zeros((1, 8, 8, 1)))
    with pytest.raises(BackendError, match="closed"):
        backend.run(np.zeros((1, 8, 8, 1), np.uint8))


def test_exact_matrices_take_no_wide_copies_of_the_weights():
    """Four bytes a weight for float32, and a quarter of that while their sums are bounded; it was 24 in all."""
    weight = np.ones((1000, 3000), np.int8)
    tracemalloc.start()
    ExactMatrix.of(weight)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * weight.size
