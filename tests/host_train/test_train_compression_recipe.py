"""Recipes of compression, and the bytes that they come to."""

from __future__ import annotations

import numpy as np
import pytest

from host_train.compression.dense import layer_sizes
from host_train.compression.encoding import encode_layers, encoded_bytes, smallest
from host_train.compression.recipe import COMPRESSIONS, CompressionRecipe
from host_train.compression.target import expected_bytes, for_target, package_bytes
from host_train.networks import RECIPES
from host_train.quantisation.fold import fold
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import (
    Dense,
    InputSpec,
    Network,
    OutputSpec,
    Requantisation,
    save_package,
    stored_bytes,
)


def test_recipes_name_the_layers_of_their_networks():
    for name, recipe in COMPRESSIONS.items():
        assert name in RECIPES
        sizes = layer_sizes(fold(RECIPES[name].build()))
        resolved = recipe.layers(sizes)
        assert set(resolved.keep) == set(resolved.bits) == set(sizes)


@pytest.mark.parametrize(("name", "ratio"), [("lenet5", 100), ("deepnet", 1000)])
def test_recipes_keep_little_enough_for_their_aim(name, ratio):
    sizes = layer_sizes(fold(RECIPES[name].build()))
    recipe = COMPRESSIONS[name].layers(sizes)
    assert 4 * sum(sum(one) for one in sizes.values()) / package_bytes(recipe, sizes) > ratio


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"keep": {"a": 0}}, "part of a to keep"),
        ({"keep": {"a": 1.5}}, "part of a to keep"),
        ({"bits": {"a": 1}}, "bits of a must be an integer from 2 to 8"),
        ({"bits": {"a": 9}}, "bits of a must be an integer from 2 to 8"),
        ({"rounds": 0}, "rounds must be"),
        ({"tune_epochs": 1.5}, "tune_epochs must be"),
        ({"learning_rate": 0}, "learning_rate must be"),
    ],
)
def test_bad_recipes_are_refused(bad, message):
    with pytest.raises(ArgumentError, match=message):
        CompressionRecipe(**bad)


def test_layers_must_be_named_rightly():
    with pytest.raises(ArgumentError, match="'fc9'; the layers with weights are conv1, fc1"):
        CompressionRecipe(keep={"fc9": 0.1, "*": 0.5}).layers(["conv1", "fc1"])
    with pytest.raises(ArgumentError, match="bits says nothing of the layer 'fc1'"):
        CompressionRecipe(bits={"conv1": 3}).layers(["conv1", "fc1"])


@pytest.mark.parametrize("part", [0.002, 0.02, 0.3])
def test_expected_bytes_are_those_of_weights_kept_at_random(part, tmp_path):
    generator = np.random.default_rng(0)
    weight = np.where(
        generator.random((100, 2000)) < part, generator.choice([-120, -80, -40, 40, 80, 120, 127], (100, 2000)), 0
    )
    weight = weight.astype(np.int8)
    measured = encoded_bytes(smallest(weight)) + 2 * 100
    assert abs(expected_bytes(weight.size, 100, part, 3) - 6 * 128 - 3 - measured) < 20 + 0.03 * measured


def test_expected_bytes_of_a_package_are_those_of_its_files(tmp_path):
    """Of weights kept at random, every value as frequent as every other."""
    generator = np.random.default_rng(0)
    shapes, keep, bits = {"a": (60, 500), "b": (10, 60)}, {"a": 0.05, "b": 0.5}, {"a": 3, "b": 3}
    layers = []
    for name, shape in shapes.items():
        weight = np.where(
            generator.random(shape) < keep[name], generator.choice([-120, -80, -40, 40, 80, 120, 127], shape), 0
        )
        constants = Requantisation(np.array([40000], np.uint16), np.array([24], np.uint8)) if name == "a" else None
        layers.append(Dense(name, weight.astype(np.int8), np.zeros(shape[0], np.int32), constants))
    ends = (InputSpec(20, 25, 1, "L", (0.5,), (0.5,)), OutputSpec(np.ones(10, np.float32), np.zeros(10, np.float32)))
    network = encode_layers(Network("n", ends[0], tuple(layers), ends[1], tuple("0123456789")))
    save_package(network, tmp_path / "p")
    expected = package_bytes(CompressionRecipe(keep, bits), {name: (a * b, a) for name, (a, b) in shapes.items()})
    assert sum(size.stored for size in stored_bytes(tmp_path / "p")) == pytest.approx(expected, abs=60)


def test_a_target_scales_what_is_kept():
    sizes = {"a": (10000, 10), "b": (200000, 20)}
    recipe = CompressionRecipe(keep={"a": 0.5, "b": 0.05}, bits={"a": 4, "b": 3})
    for ratio in (20, 60, 110):
        scaled = for_target(recipe, sizes, ratio)
        assert np.isclose(4 * 210030 / package_bytes(scaled, sizes), ratio, rtol=1e-3) and scaled.bits == recipe.bits
    assert for_target(recipe, sizes, 60).keep["a"] / for_target(recipe, sizes, 60).keep["b"] == pytest.approx(10)
    with pytest.raises(ArgumentError, match="at most .* can be asked for"):
        for_target(recipe, sizes, 1000)
    with pytest.raises(ArgumentError, match="ratio above 1"):
        for_target(recipe, sizes, 1)
