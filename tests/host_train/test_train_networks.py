"""The networks: their sizes, their integers, inputs that are resized, stochastic binary weights."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from host_train.cli import main
from host_train.data import DATASETS, load_dataset
from host_train.data.resize import resize_dataset
from host_train.layers.binary import BinaryConv2d, BinaryLayer, BinaryLinear
from host_train.networks import RECIPES, Recipe
from host_train.networks.nin import build_nin
from host_train.quantisation.calibrate import calibrate, quantisable
from host_train.quantisation.fold import fold
from host_train.quantisation.layers.bytes import QuantisedBytes
from host_train.quantisation.to_network import to_network
from host_train.runs.run import Run
from host_train.settings import Settings
from host_train.training.schedule import Schedule
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import ArgumentError, NetworkError
from pynq_cnn.images import to_network_input
from pynq_cnn.model import AvgPool2d, Conv2d, Dense, InputSpec, MaxPool2d, Network, load_package

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


def pictures(spec: InputSpec, count: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (count - 2, *spec.shape), np.uint8)
    return np.concatenate([np.zeros((1, *spec.shape), np.uint8), np.full((1, *spec.shape), 255, np.uint8), noise])


def normalised(images: np.ndarray, spec: InputSpec) -> torch.Tensor:
    return torch.from_numpy(((images / 255 - spec.mean) / spec.std).transpose(0, 3, 1, 2)).float()


def lived_in(net: nn.Module, seed: int = 0) -> nn.Module:
    """With statistics of batch norm as if trained."""
    generator = torch.Generator().manual_seed(seed)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor, low, high in (
                (layer.running_mean, -0.3, 0.3),
                (layer.running_var, 0.3, 2),
                (layer.weight.data, 0.5, 1.5),
                (layer.bias.data, -0.2, 0.4),
            ):
                tensor.uniform_(low, high, generator=generator)
    return net.eval()


def network_of(net: nn.Module, spec: InputSpec, seed: int = 0) -> Network:
    made = calibrate(fold(net), [normalised(pictures(spec, 6, seed + 1), spec)], spec.std, "mse")
    with torch.no_grad():
        outputs = made(normalised(pictures(spec, 2), spec)).shape[1]
    return to_network(made, "test", spec, [str(i) for i in range(outputs)])


def simulate(network: Network, images: np.ndarray) -> np.ndarray:
    """docs/contract/numerics.md by PyTorch's own layers in float64, which is exact below 2^53; requantisation in
    int64.
    """
    values = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float64))
    for layer in network.layers:
        if isinstance(layer, MaxPool2d):
            values = F.max_pool2d(values, layer.size, layer.stride)
            continue
        if isinstance(layer, AvgPool2d):
            acc = F.avg_pool2d(values, layer.size, layer.stride, divisor_override=1)
        elif isinstance(layer, Dense):
            weight = torch.from_numpy(layer.weight.astype(np.float64))
            acc = F.linear(
                values.permute(0, 2, 3, 1).flatten(1), weight, torch.from_numpy(layer.bias.astype(np.float64))
            )[:, :, None, None]
        else:
            assert isinstance(layer, Conv2d)
            weight, bias = (
                torch.from_numpy(array.astype(np.float64)) for array in (layer.weight.transpose(0, 3, 1, 2), layer.bias)
            )
            down, right = layer.padding[:2]
            pad = network.input.zero_points if layer is network.layers[0] else (0,) * layer.weight.shape[3]
            padded = torch.stack(
                [F.pad(values[:, c], (right, right, down, down), value=float(pad[c])) for c in range(values.shape[1])],
                1,
            )
            acc = F.conv2d(padded, weight, bias, layer.stride)
        if layer.requantisation is None:
            return acc[:, :, 0, 0].numpy().astype(np.int32)
        constants = layer.requantisation.multiplier, layer.requantisation.shift
        multiplier, shift = (torch.from_numpy(array.astype(np.int64))[:, None, None] for array in constants)
        values = ((acc.long() * multiplier + (torch.ones_like(shift) << (shift - 1))) >> shift).clamp(0, 255).double()
    raise AssertionError("the last layer is requantised")


# --------------------------------------------------------------------------------------------- architectures


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


# ------------------------------------------------------------------------------------------- average pooling


def average_net(spec: InputSpec, kind: str) -> nn.Sequential:
    first = [nn.Conv2d(spec.channels, 6, 11, stride=4), nn.BatchNorm2d(6), nn.ReLU()]  # 47 x 43 to 10 x 9
    endings = {
        "global": [nn.MaxPool2d(3, 2), nn.Conv2d(6, 5, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()],
        "global, then linear": [nn.MaxPool2d(3, 2), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(6, 5)],
        "overlapping": [
            nn.AvgPool2d(3, 2),
            nn.Conv2d(6, 5, 3, padding=1),
            nn.ReLU(),
            nn.AvgPool2d((4, 4)),
            nn.Flatten(),
        ],
        "oblong": [nn.AvgPool2d((2, 3), (4, 3)), nn.Flatten(), nn.Linear(54, 5)],
        "no flatten": [nn.AvgPool2d((10, 9))],
        "convolution last": [nn.MaxPool2d(3, 2), nn.Conv2d(6, 5, (4, 4)), nn.Flatten()],
    }
    return lived_in(nn.Sequential(*first, *endings[kind]))


@pytest.mark.parametrize(
    "kind", ["global", "global, then linear", "overlapping", "oblong", "no flatten", "convolution last"]
)
@pytest.mark.parametrize("seed", range(2))
def test_averages_in_integers_are_pytorchs_to_the_last_bit(kind, seed):
    spec = InputSpec(47, 43, 3, "RGB", (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = average_net(spec, kind)
    network, images = network_of(net, spec, seed), pictures(spec, 40, seed)
    accumulators = ReferenceBackend(network).run(images)
    assert np.array_equal(accumulators, simulate(network, images))
    with torch.no_grad():
        real = net(normalised(images, spec)).flatten(1).numpy()
    assert np.abs(network.logits(accumulators) - real).mean() < 0.05 * real.std()


def test_an_average_inside_is_trained_on_its_grid():
    spec = InputSpec(47, 43, 3, "RGB", (0.5,) * 3, (0.5,) * 3)
    net = average_net(spec, "global, then linear")
    images = pictures(spec, 60)
    x = normalised(images, spec)
    made = calibrate(fold(net), [x], spec.std, "max")
    average = next(layer for layer in made if isinstance(layer, QuantisedBytes))
    values: list[torch.Tensor] = []
    average.register_forward_hook(lambda _layer, _inputs, output: values.append(output / average.step))
    fake = made(x)
    assert torch.allclose(values[0], values[0].round(), atol=1e-3) and 200 < values[0].max() <= 255
    network = to_network(made, "test", spec, "abcde")
    error = np.abs(network.logits(ReferenceBackend(network).run(images)) - fake.detach().numpy())
    assert error.mean() < 0.02 * fake.std().item()
    fake.sum().backward()
    assert made[0].weight.grad.abs().sum() > 0
    again = quantisable(fold(net), spec.std)  # as a stored state is loaded
    again.load_state_dict(made.state_dict())
    assert torch.equal(again(x), fake)


C, R = nn.Conv2d, nn.ReLU


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (
            nn.Sequential(C(1, 2, 3), R(), nn.AvgPool2d(3, padding=1, count_include_pad=False)),
            "2 is AvgPool2d.*use count_include_pad=True, or no padding",
        ),
        (nn.Sequential(C(1, 2, 3), R(), nn.AvgPool2d(3, ceil_mode=True)), "use ceil_mode=False"),
        (nn.Sequential(C(1, 2, 3), R(), nn.AdaptiveAvgPool2d(2)), "2 averages to 2; only to 1"),
        (nn.Sequential(C(1, 2, 3), R(), nn.MaxPool2d(2), nn.Flatten()), "must end with .* average pooling, not with 3"),
    ],
)
def test_averages_that_cannot_be_mapped_are_named(net, message):
    with pytest.raises(NetworkError, match=message):
        fold(net)


# ---------------------------------------------------------------------------------------- inputs in another size


def test_resized_data_are_the_bytes_that_a_picture_gives(digits_folder):
    dataset = load_dataset("mnist", digits_folder)
    resized = resize_dataset(dataset, 56, 42)
    spec = InputSpec(56, 42, 1, "L", (0.5,), (0.5,))
    assert resized.spec.shape == (56, 42, 1) and resized.train.images.shape == (700, 56, 42, 1)
    assert np.array_equal(resized.test.labels, dataset.test.labels) and resized.source == dataset.source
    for small, large in zip(dataset.test.images[:20], resized.test.images):
        assert np.array_equal(to_network_input(small, spec), large)


def tiny_nin() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 11, stride=4), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(8, 10, 3, padding=1), nn.BatchNorm2d(10), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )


def test_training_calibration_and_integers_see_the_same_bytes(digits_folder, tmp_path, monkeypatch, capsys):
    schedule = Schedule(epochs=5, batch=32, learning_rate=2e-2)
    monkeypatch.setitem(RECIPES, "tiny", Recipe("tiny", "a small one", "mnist", tiny_nin, schedule, size=(56, 56)))
    out, data = str(tmp_path / "run"), ["--data-dir", str(digits_folder)]
    assert main(["train", "tiny", "--out", out, "--quiet", *data]) == 0
    run = Run.open(tmp_path / "run", digits_folder)
    assert run.input.shape == (56, 56, 1)
    small = load_dataset("mnist", digits_folder)
    original = {image.tobytes(): to_network_input(image, run.input).tobytes() for image in small.train.images}
    seen = {image.tobytes() for split in (run.train, run.validation) for image in split.images}
    assert seen == set(original.values())

    assert main(["export", out, *data]) == 0
    network = load_package(tmp_path / "run" / "package")
    assert network.input.shape == (56, 56, 1) and isinstance(network.layers[-1], AvgPool2d)
    assert any(np.array_equal(image, run.dataset.test.images[0]) for image in network.golden.images)
    stated = network.metadata["accuracy"]
    assert stated["integer_top1"] > 0.5 and 0.9 < stated["agreement"] <= 1.0
    assert f"the same class for {round(stated['agreement'] * stated['images'])} of them" in capsys.readouterr().out
    inputs = np.stack([to_network_input(image, network.input) for image in small.test.images])
    answers = network.logits(ReferenceBackend(network).run(inputs)).argmax(1)
    assert (answers == small.test.labels).mean() == stated["integer_top1"]
    assert main(["evaluate", str(tmp_path / "run" / "package"), "--json", *data]) == 0
    assert json.loads(capsys.readouterr().out)["top1"] == stated["integer_top1"]
    assert main(["evaluate", out, "--json", *data]) == 0
    assert json.loads(capsys.readouterr().out)["top1"] == stated["float32_top1"]


# ---------------------------------------------------------------------------------- stochastic binary weights


def tiny_bnn(stochastic: bool = False) -> nn.Sequential:
    return nn.Sequential(
        *(
            BinaryConv2d(1, 8, 3, padding=1, input_step=1 / 128, stochastic=stochastic),
            nn.BatchNorm2d(8),
            nn.Hardtanh(),
            nn.MaxPool2d(4),
        ),
        *(nn.Flatten(), BinaryLinear(392, 10, stochastic=stochastic)),
    )


def test_stochastic_training_is_an_option_of_binary_networks(digits_folder, tmp_path, monkeypatch, capsys):
    centre = (128 / 255,)
    schedule = Schedule(epochs=2, batch=32, learning_rate=1e-2, weight_decay=0.0)
    recipe = Recipe(
        "bnn",
        "a small one",
        "mnist",
        tiny_bnn,
        schedule,
        mean=centre,
        std=centre,
        build_stochastic=partial(tiny_bnn, True),
    )
    monkeypatch.setitem(RECIPES, "bnn", recipe)
    data = ["--data-dir", str(digits_folder), "--quiet"]
    for folder, options in (("a", ["--stochastic"]), ("b", ["--stochastic"]), ("c", [])):
        assert main(["train", "bnn", "--out", str(tmp_path / folder), *options, *data]) == 0
    about = json.loads((tmp_path / "a" / "run.json").read_text())
    assert about["stochastic"] is True and about["command"] == "python -m host_train train bnn --seed 0 --stochastic"
    assert Run.open(tmp_path / "a", digits_folder).settings == Settings("bnn", stochastic=True)
    weights = [torch.load(tmp_path / folder / "float" / "weights.pt", weights_only=True) for folder in "abc"]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])  # drawn by the seed
    assert not torch.equal(weights[0]["0.weight"], weights[2]["0.weight"])
    capsys.readouterr()
    assert main(["train", "bnn", "--out", str(tmp_path / "a"), "--resume", *data]) == 1
    assert "of another run" in capsys.readouterr().err


def test_stochastic_builds_and_evaluates_as_it_should():
    net = Settings("vgg_bnn_half", stochastic=True).resolve().build()
    layers = [layer for layer in net.modules() if isinstance(layer, BinaryLayer)]
    assert len(layers) == 7 and all(layer.stochastic for layer in layers)
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(net.eval()(x), net(x)) and not torch.equal(net.train()(x), net(x))
    plain = Settings("vgg_bnn_half").resolve().build()
    assert not any(layer.stochastic for layer in plain.modules() if isinstance(layer, BinaryLayer))


def test_stochastic_is_refused_where_nothing_is_binary(tmp_path, digits_folder, capsys):
    assert main(["train", "lenet", "--stochastic", "--out", str(tmp_path / "r"), "--data-dir", str(digits_folder)]) == 1
    assert "lenet has no binary weights to draw at random, only vgg_bnn, vgg_bnn_half have" in capsys.readouterr().err
    with pytest.raises(ArgumentError, match="stochastic must be True or False, not 1"):
        Settings("vgg_bnn", stochastic=1)


def test_runs_from_before_the_option_still_open(tmp_path, digits_folder):
    (tmp_path / "run.json").write_text('{"recipe": "lenet", "seed": 3, "epochs": null, "threads": 2, "command": "..."}')
    settings = Run.open(tmp_path, digits_folder).settings
    assert settings == Settings("lenet", seed=3, threads=2)
    assert settings.command() == "python -m host_train train lenet --seed 3 --threads 2"
    assert Settings("lenet", qat_epochs=0).command() == "python -m host_train train lenet --seed 0 --qat-epochs 0"
