"""Shared values: clusters, their gradients, and plain layers of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from compressing import BITS, COLOUR, digits_data, net, sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from host_train.compression.prune import plain, prune_to, weighted_layers
from host_train.compression.share import FINE, cluster, codebook, share, unshared
from host_train.networks.lenet import build_lenet
from host_train.quantisation.fold import fold
from host_train.training.fit import fit
from host_train.training.schedule import Schedule
from pynq_cnn.errors import ArgumentError


@settings(max_examples=30)
@given(st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=200), st.integers(1, 15))
def test_clusters_are_few_and_nearest(values, count):
    values = np.array(values)
    centres, codes = cluster(values, count)
    assert 1 <= len(centres) <= count and (np.diff(centres) > 0).all()
    assert set(codes) == set(range(len(centres)))
    distance = np.abs(values[:, None] - centres)
    assert np.allclose(distance[np.arange(len(values)), codes], distance.min(1))


def test_clusters_of_many_values_cost_bins_and_are_as_good():
    generator = np.random.default_rng(0)
    values = np.concatenate([generator.normal(centre, 0.01, 20000) for centre in (-2, -0.5, 1, 3)])
    centres, codes = cluster(values, 4)
    assert np.allclose(centres, [-2, -0.5, 1, 3], atol=1e-3)
    assert np.array_equal(codes, np.repeat(np.arange(4), 20000))


def test_clusters_where_one_value_is_far_out():
    """Most bins are empty then: fewer are left than clusters are asked for."""
    values = np.append(np.linspace(-1, 1, FINE + 1), 1e4)
    centres, codes = cluster(values, 255)
    assert 2 <= len(centres) <= 255 and codes[-1] == len(centres) - 1 and centres[-1] == 1e4


def test_clusters_start_from_an_even_spread():
    """By Lloyd's iterations written out, from that start."""
    values = np.random.default_rng(1).laplace(size=500)
    centres, _ = cluster(values, 5)
    mine = np.linspace(values.min(), values.max(), 5)
    for _ in range(300):
        nearest = np.abs(values[:, None] - mine).argmin(1)
        mine = np.array([values[nearest == i].mean() for i in range(5)])
    assert np.allclose(centres, mine, atol=0.02)


@pytest.mark.parametrize("bad", [[], [1.0, np.nan]])
def test_nothing_to_cluster_is_refused(bad):
    with pytest.raises(ArgumentError, match="cannot be clustered"):
        cluster(np.array(bad), 3)


def test_a_layer_has_at_most_its_values_and_its_zeros_stay():
    model = sparse()
    zeros = {name: layer.weight == 0 for name, layer in weighted_layers(model).items()}
    gain = 1 / torch.tensor(COLOUR.std).reshape(1, 3, 1, 1)
    share(model, BITS, COLOUR.std)
    for name, layer in weighted_layers(model).items():
        assert len(codebook(layer)) == 2 ** BITS[name] - 1
        assert torch.equal(layer.weight == 0, zeros[name])
        values = layer.weight * gain if name == "0" else layer.weight
        assert set(values[~zeros[name]].round(decimals=4).tolist()) == set(
            codebook(layer).detach().round(decimals=4).tolist()
        )
    dense = {name: layer.weight.detach().clone() for name, layer in weighted_layers(model).items()}
    for name, layer in weighted_layers(unshared(model)).items():
        assert layer is not model[int(name)]
        assert type(layer) in (nn.Conv2d, nn.Linear) and torch.equal(layer.weight, dense[name])


def test_the_gradient_of_a_value_is_the_sum_over_its_members():
    x, labels = torch.randn(16, 3, 9, 8, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 10
    model = share(sparse(), BITS, COLOUR.std)
    free = unshared(model)
    for one in (model, free):
        F.cross_entropy(one(x), labels).backward()
    for name, layer in weighted_layers(model).items():
        values = layer.parametrizations.weight[0]
        own = weighted_layers(free)[name].weight.grad.flatten()[values.places] / values.gain
        for code in range(len(codebook(layer))):
            assert torch.isclose(codebook(layer).grad[code], own[values.codes == code].sum(), rtol=1e-4, atol=1e-6)


def test_fine_tuning_moves_values_and_keeps_them_shared(tmp_path, digits):
    model = fold(build_lenet())
    prune_to(model, {"conv1": 0.9, "conv2": 0.5, "fc1": 0.1, "fc2": 0.5})
    share(plain(model), dict.fromkeys(("conv1", "conv2", "fc1", "fc2"), 3), (0.4,))
    before = {name: layer.weight.detach().clone() for name, layer in weighted_layers(model).items()}
    data = digits_data(digits)
    history = fit(model, data, data, Schedule(epochs=3, batch=32, learning_rate=3e-3, weight_decay=0.1), tmp_path)
    assert history[-1].train_loss < history[0].train_loss
    for name, layer in weighted_layers(model).items():
        assert torch.equal(layer.weight == 0, before[name] == 0) and not torch.equal(layer.weight, before[name])
        assert len(layer.weight.unique()) <= 8


def test_a_layer_without_weights_is_refused():
    model = net()
    model[3].weight.data.zero_()
    with pytest.raises(ArgumentError, match="3 has no weights left"):
        share(model, BITS, COLOUR.std)
