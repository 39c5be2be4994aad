"""The networks: their sizes, and integers that are what PyTorch computes of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from integers import lived_in, network_of, normalised, pictures, simulate

from host_train.data import DATASETS
from host_train.networks import RECIPES, Recipe
from host_train.networks.nin import build_nin
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.model import AvgPool2d, InputSpec, MaxPool2d

INTEGER = ["lenet", "convnet", "lenet5", "deepnet", "nin", "nin_one", "nin_plain"]


def input_of(recipe: Recipe) -> InputSpec:
    spec = DATASETS[recipe.dataset].spec
    height, width = recipe.size or spec.shape[:2]
    return InputSpec(
        height,
        width,
        spec.shape[2],
        {1: "L", 3: "RGB"}[spec.shape[2]],
        recipe.mean or spec.mean,
        recipe.std or spec.std,
    )


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("lenet", 13_242),
        ("convnet", (25 + 1) * 16 + (16 * 9 + 1) * 32 + 8010),
        ("lenet5", 431_080),
        ("deepnet", 640 + (64 * 9 + 1) * 256 + 12545 * 512 + 5130),
        # Convolutions without bias; two values of batch norm for each of 746 channels.
        (
            "nin",
            96 * (121 + 2 * 96)
            + 256 * (96 * 25 + 2 * 256)
            + 384 * (256 * 9 + 2 * 384)
            + 10 * (384 * 9 + 20)
            + 3 * 2 * 746,
        ),
        (
            "nin_one",
            96 * (121 + 96) + 256 * (96 * 25 + 256) + 384 * (256 * 9 + 384) + 10 * (384 * 9 + 10) + 2 * 2 * 746,
        ),
    ],
)
def test_sizes(name, parameters):
    recipe = RECIPES[name]
    net, spec = recipe.build().eval(), input_of(recipe)
    assert sum(p.numel() for p in net.parameters()) == parameters
    with torch.no_grad():
        assert net(torch.zeros(2, spec.channels, spec.height, spec.width)).shape == (2, 10)


@pytest.mark.parametrize("name", INTEGER)
def test_every_network_runs_in_integers_as_pytorch_computes_them(name):
    recipe = RECIPES[name]
    spec = input_of(recipe)
    net = lived_in(recipe.build())
    network, images = network_of(net, spec), pictures(spec, 4)
    accumulators = ReferenceBackend(network).run(images)
    assert np.array_equal(accumulators, simulate(network, images))
    logits = network.logits(accumulators)
    with torch.no_grad():
        real = net(normalised(images, spec)).numpy()
    assert np.abs(logits - real).mean() < 0.1 * np.abs(real).mean()


def test_a_nin_ends_with_the_average_of_its_maps():
    network = network_of(lived_in(build_nin(1)), input_of(RECIPES["nin_one"]))
    kinds = [(layer.size, layer.stride) for layer in network.layers if isinstance(layer, MaxPool2d)]
    assert kinds == [((3, 3), (2, 2))] * 3
    assert network.layers[0].weight.shape[1:3] == (11, 11) and network.layers[0].stride == (4, 4)
    last = network.layers[-1]
    assert (
        isinstance(last, AvgPool2d)
        and last.size == (2, 2)
        and last.requantisation is None
        and len(set(network.output.scale)) == 1
    )
