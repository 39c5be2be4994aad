"""Models as people write them, to integers."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from own_models import IGNORE_NOISE, SIDE, Twice, digits, images, logits, tensor, warnings_are_errors
from torch import nn

from host_train import from_torch
from pynq_cnn.model import InputSpec, load_package

pytestmark = IGNORE_NOISE


def test_layers_have_the_modules_names_and_the_softmax_is_left_to_the_host(tmp_path):
    model = digits()
    network = from_torch(
        model,
        images(),
        name="digits",
        classes=["a", "b", "c"],
        metadata={"dataset": "noise"},
        folder=tmp_path / "package",
    )
    assert [layer.name for layer in network.layers] == ["conv1", "pool", "conv2", "pool_2", "fc1", "fc2"]
    assert network.classes == ("a", "b", "c") and network.metadata["dataset"] == "noise"
    assert load_package(tmp_path / "package") == network
    ours = torch.from_numpy(logits(network, images())).softmax(1)
    with torch.no_grad():
        theirs = model.eval()(tensor(images()))
    assert torch.allclose(ours, theirs, atol=0.02) and network.metadata["conversion"]["mean_error"] < 0.1


def test_methods_and_the_number_of_images_are_obeyed():
    network = from_torch(digits(), images(50), name="n", method="percentile", images=20)
    conversion = network.metadata["conversion"]
    assert conversion["method"].removesuffix(", equalised") == "percentile" and conversion["images"] == 20
    errors = {
        m: from_torch(digits(), images(), name="n", method=m).metadata["conversion"]
        for m in ("max", "percentile", "mse", "auto")
    }
    best = min(("max", "percentile", "mse"), key=lambda m: (-errors[m]["agreement"], errors[m]["mean_error"]))
    assert errors["auto"] == errors[best]


def test_the_spec_says_how_pictures_are_fitted():
    spec = InputSpec(SIDE, SIDE, 1, "L", (0.5,), (0.25,), "digit", "auto")
    assert from_torch(digits(), images(), name="n", spec=spec).input == spec


def test_a_layer_used_twice_is_two_layers_and_an_unused_one_is_named():
    with pytest.warns(UserWarning, match="Twice does not use auxiliary"):
        network = from_torch(Twice(), images(), name="n")
    first, second, _ = network.layers
    assert (first.name, second.name) == ("conv", "conv_2") and np.array_equal(first.weight, second.weight)


class Own(nn.Conv2d):
    """A layer derived from one that is known."""


def test_derived_layers_and_single_layers_are_taken():
    with warnings.catch_warnings():
        warnings_are_errors()
        network = from_torch(nn.Sequential(Own(1, 2, 8), nn.Flatten()), images(side=8), name="n")
    assert [node.gives.shape for node in network.nodes] == [(1, 1, 2)]
    assert from_torch(nn.Conv2d(1, 2, SIDE), images(), name="n").nodes[-1].gives.shape == (1, 1, 2)
