"""Pruned, weight-shared and parametrised weights, to integers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from own_models import IGNORE_NOISE, digits, images
from torch.nn.utils import parametrizations, prune

from host_train import from_torch
from pynq_cnn.model import load_package

pytestmark = IGNORE_NOISE


def test_pruned_weights_stay_zero_with_their_masks_attached(tmp_path):
    model = digits()
    for layer in (model.conv1, model.conv2, model.fc1):
        prune.l1_unstructured(layer, "weight", amount=0.7)
    masks = {name: getattr(model, name).weight_mask.clone() for name in ("conv1", "conv2", "fc1")}
    with torch.no_grad():  # as an optimiser's step: `weight` is stale until the next forward
        for name in masks:
            getattr(model, name).weight_orig += 0.05
    network = from_torch(model, images(), name="n", shared=True, folder=tmp_path / "package")
    layers = {layer.name: layer for layer in network.layers}
    for name, mask in masks.items():
        weight = layers[name].weight
        shape = mask.shape if mask.ndim == 4 else (8, 4, 3, 3)
        zeros = (mask.numpy() == 0).reshape(shape).transpose(0, 2, 3, 1).reshape(weight.shape)
        assert (weight[zeros] == 0).all() and (weight != 0).mean() > 0.2
        assert layers[name].shared is not None
        assert prune.is_pruned(getattr(model, name))
    assert network.metadata["conversion"]["mean_error"] < 0.1
    assert load_package(tmp_path / "package") == network
    with torch.no_grad():
        expected = model.conv1.weight_orig * model.conv1.weight_mask
    step = expected.abs().max() / 127
    assert np.array_equal(layers["conv1"].weight.transpose(0, 3, 1, 2), torch.round(expected / step).int().numpy())


@pytest.mark.parametrize("shared", [False, True])
def test_shared_weights_stay_shared(shared):
    model = digits()
    values = torch.tensor([0.0, 0.11, -0.07, 0.3, -0.21])
    with torch.no_grad():
        for layer in (model.conv1, model.conv2, model.fc1, model.fc2):
            layer.weight.copy_(values[torch.randint(5, layer.weight.shape, generator=torch.Generator().manual_seed(1))])
    network = from_torch(model, images(), name="n", shared=shared)
    for layer in network.layers:
        if not hasattr(layer, "weight"):
            continue
        dense = np.asarray(layer.weight)
        assert (dense == 0).any()
        assert not shared or len(np.unique(dense)) <= 5  # otherwise each channel has a scale of its own
        assert (layer.shared is not None) == shared
    assert network.metadata["conversion"]["mean_error"] < 0.1


def test_parametrised_weights_are_taken_as_they_act():
    model = digits()
    parametrizations.weight_norm(model.fc1)
    with torch.no_grad():
        model.fc1.parametrizations.weight.original0.mul_(2)
    network = from_torch(model, images(), name="n")
    assert network.metadata["conversion"]["mean_error"] < 0.1
