"""Pruning: masks, rounds of them, and what is kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from compressing import KEEP, digits_data, net
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from host_train.compression.prune import kept, masked, plain, prune_to, round_keep, threshold_keep, weighted_layers
from host_train.networks.lenet import build_lenet
from host_train.quantisation.fold import fold
from host_train.training.fit import fit
from host_train.training.schedule import Schedule
from pynq_cnn.errors import ArgumentError


@settings(max_examples=20)
@given(st.floats(0.001, 1), st.integers(0, 5))
def test_the_largest_weights_are_kept(part, seed):
    model = net(seed=seed)
    before = {name: layer.weight.detach().clone() for name, layer in weighted_layers(model).items()}
    prune_to(model, dict.fromkeys(before, part))
    for name, layer in weighted_layers(model).items():
        mask = layer.weight_mask.bool()
        assert mask.sum() == max(1, round(part * mask.numel())) == kept(model)[name][0]
        assert torch.equal(layer.weight.detach(), before[name] * mask)
        if not mask.all():
            assert before[name][mask].abs().min() >= before[name][~mask].abs().max()


def test_pruning_goes_on_from_what_is_left_and_never_back():
    model = net()
    prune_to(model, dict.fromkeys(KEEP, 0.5))
    first = {name: layer.weight_mask.clone() for name, layer in weighted_layers(model).items()}
    with torch.no_grad():
        for layer in weighted_layers(model).values():
            layer.weight_orig += (1 - layer.weight_mask) * 100  # what is masked may not return, however large
    prune_to(model, KEEP)
    for name, layer in weighted_layers(model).items():
        assert (layer.weight_mask <= first[name]).all()
        assert layer.weight_mask.sum() == min(first[name].sum(), max(1, round(KEEP[name] * first[name].numel())))
        assert layer.weight.abs().max() < 100


def test_pruning_and_counting_see_what_was_loaded():
    model, other = masked(net()), masked(net(seed=1))
    prune_to(other, KEEP)
    model.load_state_dict(other.state_dict())  # with no forward pass since
    assert kept(model) == kept(other) != kept(masked(net()))
    less = {name: part / 2 for name, part in KEEP.items()}
    prune_to(model, less)
    prune_to(other, less)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values()))


def test_masked_weights_stay_zero_through_fine_tuning(tmp_path, digits):
    model = masked(fold(build_lenet()))
    keep = {"conv1": 0.5, "conv2": 0.3, "fc1": 0.02, "fc2": 0.2}
    prune_to(model, keep)
    masks = {name: layer.weight_mask.clone() for name, layer in weighted_layers(model).items()}
    start = {name: layer.weight.detach().clone() for name, layer in weighted_layers(model).items()}
    data = digits_data(digits)
    fit(model, data, data, Schedule(epochs=2, batch=32, weight_decay=0.1), tmp_path)
    counts = kept(model)
    for name, layer in weighted_layers(plain(model)).items():
        assert not layer.weight[masks[name] == 0].any() and not torch.equal(layer.weight, start[name])
        assert counts[name][0] <= masks[name].sum() == max(1, round(keep[name] * layer.weight.numel()))


def test_threshold_counts_standard_deviations():
    model = nn.Sequential(nn.Linear(4, 1))
    model[0].weight.data = torch.tensor([[1.0, -1.0, 3.0, -3.0]])  # of standard deviation sqrt(5)
    assert threshold_keep(model, 1.3) == {"0": 0.5}  # 2.9
    assert threshold_keep(model, 1.4) == {"0": 0.25}  # 3.1: nothing reaches it, and one weight is always kept
    assert threshold_keep(model, 0) == {"0": 1.0}
    for bad in (-0.1, float("nan")):
        with pytest.raises(ArgumentError, match="threshold"):
            threshold_keep(model, bad)


def test_thresholds_may_be_of_the_weights_themselves():
    model = masked(net())
    for layer in weighted_layers(model).values():
        layer.weight_orig.data *= 3  # in standard deviations nothing would change
    parts = threshold_keep(model, 0.1, absolute=True)
    for name, layer in weighted_layers(model).items():
        assert parts[name] == float((layer.weight_orig.abs() >= 0.1).sum()) / layer.weight_orig.numel()
    assert parts != threshold_keep(model, 0.1)
    prune_to(model, parts)
    assert all(layer.weight[layer.weight != 0].abs().min() >= 0.1 for layer in weighted_layers(plain(model)).values())


def test_rounds_end_at_what_is_to_be_kept():
    steps = [round_keep({"a": 0.01, "b": 1.0}, number, 8) for number in range(9)]
    assert steps[-1] == {"a": 0.01, "b": 1.0} and all(step["b"] == 1 for step in steps)
    drops = -np.diff([step["a"] for step in steps])
    assert (np.diff(drops) < 0).all() and (drops > 0).all()
