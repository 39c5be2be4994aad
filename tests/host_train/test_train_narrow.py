"""Networks with fewer units before their weights are pruned."""

from __future__ import annotations

import json

import pytest
import torch
from compressing import net
from torch import nn

from host_train.cli import main
from host_train.compression.narrow import narrow
from host_train.compression.recipe import CompressionRecipe
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import load_package

UNITS = {"0": 3, "3": 5, "6": 7}


def without(model: nn.Sequential, name: str, gone: list[int]) -> nn.Sequential:
    """`model` with what reads some units of a layer set to 0."""
    layers = [(one, layer) for one, layer in model.named_children() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    names = [one for one, _ in layers]
    reader = layers[names.index(name) + 1][1]
    outputs = len(dict(layers)[name].weight)
    with torch.no_grad():
        reader.weight.reshape(len(reader.weight), outputs, -1)[:, gone] = 0
    return model


@pytest.mark.parametrize("name", UNITS)
def test_what_is_left_out_is_as_if_nothing_read_it(name):
    """Behind pooling, strides, and from channels to a fully connected layer."""
    model, images = net(), torch.rand(4, 3, 9, 8)
    small = narrow(model, {name: UNITS[name]})
    weight = dict(model.named_children())[name].weight
    left = dict(small.named_children())[name].weight
    assert len(left) == UNITS[name]
    gone = [unit for unit, one in enumerate(weight) if not any(torch.equal(one, other) for other in left)]
    assert len(gone) == len(weight) - UNITS[name]
    before = model(images)
    assert torch.allclose(small(images), without(model, name, gone)(images), atol=1e-6)
    assert not torch.allclose(small(images), before, atol=1e-3) and len(weight) > UNITS[name]


def test_all_layers_at_once_and_none():
    model, images = net(), torch.rand(4, 3, 9, 8)
    small = narrow(model, UNITS)
    sizes = {name: tuple(layer.weight.shape) for name, layer in small.named_children() if hasattr(layer, "weight")}
    assert sizes == {"0": (3, 3, 3, 3), "3": (5, 3, 2, 3), "6": (7, 5 * 3 * 2), "8": (10, 7)}
    assert small(images).shape == (4, 10) and torch.equal(narrow(model, {})(images), model(images))
    assert model[0].weight.shape == (6, 3, 3, 3)  # not changed
    assert small[0].out_channels == small[3].in_channels == 3 and small[6].out_features == small[8].in_features == 7


def test_units_that_matter_stay_however_they_are_scaled():
    model = net()
    left = narrow(model, {"6": 7})[8].weight
    with torch.no_grad():
        model[6].weight *= torch.logspace(-3, 3, 20)[:, None]
        model[6].bias *= torch.logspace(-3, 3, 20)
        model[8].weight /= torch.logspace(-3, 3, 20)
    again = narrow(model, {"6": 7})[8].weight
    ratios = (again / left).median(0).values
    assert torch.allclose(again, left * ratios, rtol=1e-4)


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ({"8": 3}, "units names '8'; the layers whose outputs can be fewer are 0, 3, 6"),
        ({"*": 3}, "units names '\\*'"),
        ({"6": 21}, "the units of 6 must be an integer from 1 to 20"),
        ({"6": 0}, "the units of 6"),
        ({"6": 0.5}, "the units of 6"),
    ],
)
def test_other_units_are_refused(units, message):
    with pytest.raises(ArgumentError, match=message):
        narrow(net(), units)


def test_bad_recipes_are_refused():
    with pytest.raises(ArgumentError, match="the units of a must be an integer from 1"):
        CompressionRecipe(units={"a": 0})
    with pytest.raises(ArgumentError, match="distillation must be from 0 to 1, not 2"):
        CompressionRecipe(distillation=2)


def test_groups_are_refused():
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, groups=2), nn.ReLU(), nn.Conv2d(4, 1, 1))
    with pytest.raises(ArgumentError, match="2 has groups of channels"):
        narrow(model, {"0": 2})


def test_a_compression_of_fewer_units(short_lenet, digits_folder, tmp_path, capsys):
    """By `compress`, and by its steps; ratios stay those to the network as it was trained."""
    run, data = str(short_lenet), ["--data-dir", str(digits_folder)]
    fewer = ["--units", "conv2=6", "fc1=20", "--keep", "0.5", "--distillation", "0.5", "--rounds", "1"]
    epochs = ["--round-epochs", "1", "--tune-epochs", "2", "--device", "cpu"]
    told = [run, *data, "--out", str(tmp_path / "c")]
    assert main(["prune", *told, *fewer, *epochs]) == 0
    assert main(["share", *told, "--share-epochs", "1", "--device", "cpu"]) == 0
    assert main(["huffman", *told, "--min-agreement", "0"]) == 0
    network = load_package(tmp_path / "c" / "package")
    outputs = {layer.name: layer.outputs for layer in network.layers if hasattr(layer, "outputs")}
    assert outputs["conv2"] <= 6 and outputs["fc1"] <= 20 and outputs["fc2"] == 10
    assert network.metadata["compression"]["units"] == {"conv2": 6, "fc1": 20}
    stored = json.loads((tmp_path / "c" / "table.json").read_text())
    total = next(row for row in stored["layers"] if row["name"] == "total")
    assert total["weights"] == 13_188 and 0 <= stored["accuracy"]["validation_top1"] <= 1
    prune = json.loads((tmp_path / "c" / "prune" / "stage.json").read_text())
    assert prune["distillation"] == 0.5 and "distillation=0.5" in prune["schedule"]
    assert "distillation=0.5" in json.loads((tmp_path / "c" / "share" / "stage.json").read_text())["schedule"]
    capsys.readouterr()
    assert main(["prune", *told, "--resume", *fewer[:2], *fewer[3:], *epochs]) == 1
    assert "prune has another units" in capsys.readouterr().err
    whole = ["compress", *told[:-1], str(tmp_path / "d"), *fewer, *epochs, "--share-epochs", "1"]
    assert main([*whole, "--min-agreement", "0"]) == 0
    other = load_package(tmp_path / "d" / "package")
    assert other.layers == network.layers and "--units conv2=6 fc1=20" in other.metadata["recipe"]
    capsys.readouterr()
    assert main(["front", str(tmp_path / "c"), "--network", "lenet", "--out", str(tmp_path / "f")]) == 0
    assert "held back" in capsys.readouterr().out
    assert main([*whole[:-2], "--units", "fc2=5", "--force"]) == 1
    assert "units names 'fc2'" in capsys.readouterr().err
    assert main([*whole, "--force", "--target", "12", "--min-agreement", "0"]) == 0  # of the trained network
    told_size = next(line for line in capsys.readouterr().out.splitlines() if "bytes of float32" in line)
    assert told_size.startswith("52,968 bytes")
