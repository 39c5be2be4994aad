"""Parameters, multiply-accumulates and memory, against the integer network's own account and by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from host_train.cli import main
from host_train.data import DATASETS
from host_train.networks import RECIPES
from host_train.networks.profile import profile
from host_train.networks.step import compare_steps, step_cost
from host_train.networks.vgg_bnn import CENTRE, build_vgg_bnn
from host_train.quantisation.bits import binary_to_network
from host_train.quantisation.calibrate import calibrate
from host_train.quantisation.fold import fold
from host_train.quantisation.to_network import to_network
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import InputSpec, Network


def check(result, network: Network) -> None:
    """Layer by layer what the integer network says of itself."""
    assert [layer.name for layer in result.layers] == [layer.name for layer in network.layers]
    assert [layer.macs for layer in result.layers] == [node.macs for node in network.nodes]
    for layer, node in zip(result.layers, network.nodes):
        (height, width, channels), kind = node.gives.shape, node.gives.datatype
        assert layer.shape in ((channels, height, width), (channels,))
        per_pixel = {"uint8": channels, "int32": 4 * channels, "bit": 8 * int(np.ceil(channels / 64))}[kind.name]
        assert layer.engine_bytes == height * width * per_pixel and layer.float_bytes == 4 * height * width * channels


@pytest.mark.parametrize("name", ["lenet", "convnet", "lenet5", "deepnet", "nin", "nin_one"])
def test_the_integer_network_says_the_same(name):
    recipe = RECIPES[name]
    shape = DATASETS[recipe.dataset].spec.shape
    height, width = recipe.size or shape[:2]
    net = recipe.build()
    result = profile(net, name, (shape[2], height, width))
    assert net.training and result.parameters == sum(p.numel() for p in net.parameters())
    spec = InputSpec(height, width, shape[2], "L", (0.5,), (0.5,))
    quantised = calibrate(fold(net.eval()), [torch.rand(2, shape[2], height, width)], spec.std)
    check(result, to_network(quantised, name, spec, list("0123456789")))


def test_bits_are_counted_in_words():
    net = build_vgg_bnn(40).eval()
    result = profile(net, "small", (3, 32, 32))
    check(
        result,
        binary_to_network(net, "small", InputSpec(32, 32, 3, "RGB", (CENTRE,) * 3, (CENTRE,) * 3), list("0123456789")),
    )
    assert result.layers[0].engine_bytes == 32 * 32 * 8  # 40 channels are a word
    assert result.parameters == sum(p.numel() for p in net.parameters())


def test_nin_by_hand():
    result = profile(RECIPES["nin"].build(), "nin", (1, 112, 112))
    first, average = result.layers[0], result.layers[-1]
    assert (first.shape, first.macs, first.parameters) == ((96, 26, 26), 26 * 26 * 96 * 121, 96 * 121 + 2 * 96)
    assert (average.shape, average.macs, average.engine_bytes) == ((10, 1, 1), 0, 40)
    assert result.peak_bytes == 2 * 26 * 26 * 96
    assert result.engine_bytes == sum(layer.engine_bytes for layer in result.layers)


def test_the_table_and_its_comparison(capsys):
    assert main(["profile", "nin_one", "nin"]) == 0
    text = capsys.readouterr().out
    lines = text.splitlines()
    assert "cccp2_1 Conv2d 96 x 26 x 26 9,408 6,230,016 259,584 64,896" in [" ".join(line.split()) for line in lines]
    assert lines[-1].split()[:5] == ["nin", "1,994,404", "1.13x", "157,290,656", "1.14x"]
    assert main(["profile", "lenet"]) == 0
    assert "1.00x" not in capsys.readouterr().out


def test_json(capsys):
    assert main(["profile", "lenet", "deepnet", "--json"]) == 0
    lenet, deepnet = json.loads(capsys.readouterr().out)
    assert lenet["network"] == "lenet" and lenet["input"] == [1, 28, 28] and lenet["parameters"] == 13_242
    assert [layer["name"] for layer in lenet["layers"]] == ["conv1", "pool1", "conv2", "pool2", "fc1", "fc2"]
    assert deepnet["macs"] == 28**2 * 64 * 9 + 14**2 * 256 * 64 * 9 + 12544 * 512 + 5120


def test_mistakes():
    with pytest.raises(ArgumentError, match="small does not take an image of 1 x 8 x 8"):
        profile(nn.Sequential(nn.Conv2d(3, 2, 3)), "small", (1, 8, 8))
    layer = nn.Conv2d(1, 1, 3, padding=1)
    with pytest.raises(ArgumentError, match="0 of small runs more than once"):
        profile(nn.Sequential(layer, nn.ReLU(), layer), "small", (1, 8, 8))
    assert main(["profile", "resnet"]) == 1


def test_another_size_and_training_by_the_command_line(capsys):
    assert main(["profile", "nin_one", "nin", "--size", "224"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "nin, input 1 x 224 x 224, one image" in lines
    assert lines[-1].split()[:2] == ["nin", "1,994,404"] and int(lines[-1].split()[3].replace(",", "")) > 700_000_000
    assert main(["profile", "lenet", "convnet", "--training", "--batch", "4", "--device", "cpu", "--json"]) == 0
    for one in json.loads(capsys.readouterr().out):
        assert one["step"]["batch"] == 4 and one["step"]["images_per_second"] > 0
        # Every output of a convolution is kept for its ReLU, that of the ReLU for the pooling.
        assert one["step"]["kept_bytes"] > 4 * one["layers"][0]["float_bytes"]
    assert main(["profile", "lenet", "--training", "--device", "cpu"]) == 0
    assert "A step of training in float32 on cpu" in capsys.readouterr().out
    for bad, message in [
        (["--size", "224"], "lenet does not take images of 224 x 224"),
        (["--batch", "4"], "is of --training"),
        (["--training", "--batch", "0", "--device", "cpu"], "batch must be"),
    ]:
        assert main(["profile", "lenet", *bad]) == 1
        assert message in capsys.readouterr().err


def test_what_is_kept_for_the_backward_pass_by_hand():
    """The input, and what the sigmoid gives, which its own backward pass and the next layer take: one storage. Then the
    logits' softmax and the labels.
    """
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.Sigmoid(), nn.Linear(5, 2))
    cost = step_cost(model, "n", (1, 2, 3), 7)
    fixed = 4 * 7 * (6 + 5)
    assert fixed < cost.kept_bytes <= fixed + 4 * 7 * 2 + 8 * 7 + 8
    wider = step_cost(nn.Sequential(nn.Flatten(), nn.Linear(6, 50), nn.Sigmoid(), nn.Linear(50, 2)), "n", (1, 2, 3), 7)
    assert wider.kept_bytes - cost.kept_bytes == 4 * 7 * 45
    assert "1.00x" in compare_steps([cost]) and cost.to_json()["input_shape"] == [1, 2, 3]
    with pytest.raises(ArgumentError, match="n does not train on 7 images"):
        step_cost(model, "n", (1, 2, 4), 7)
