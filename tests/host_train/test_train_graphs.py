"""Graphs of layers: folded they are the same function, and in integers close to it, on every backend the same."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from quantising import COLOUR, normalised, pictures
from torch import nn

from host_train.layers.join import Add, Concat
from host_train.layers.padded import PaddedConv2d
from host_train.layers.residual import Residual, basic_body
from host_train.layers.scale import ChannelScale
from host_train.layers.select import Select
from host_train.networks import RECIPES
from host_train.quantisation.calibrate import METHODS, calibrations, quantisable
from host_train.quantisation.fold import fold
from host_train.quantisation.graph import LayerGraph, inputs_of, is_chain, walk
from host_train.quantisation.layers.rules import role
from host_train.quantisation.layers.select import one_hot
from host_train.quantisation.layers.state import Role
from host_train.quantisation.to_network import to_network
from pynq_cnn.backends.cpu import CpuBackend
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.compiler import compile_network
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import AvgPool2d, InputSpec, MaxPool2d, Network
from pynq_cnn.model import Concat as IntegerConcat
from pynq_cnn.model import Conv2d as IntegerConv2d

C, R, BN = nn.Conv2d, nn.ReLU, nn.BatchNorm2d


def lived_in(model: nn.Module) -> nn.Module:
    """With statistics of batch norm as if trained; some channels are negated."""
    for layer in model.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            layer.running_mean.normal_(0, 0.3)
            layer.running_var.uniform_(0.3, 2)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            layer.weight.data[::3] *= -1
            nn.init.normal_(layer.bias, 0.2)
    return model.eval()


def photos(count: int = 64, seed: int = 0) -> np.ndarray:
    """Noise of a brightness of its own in each image and channel, so that networks tell them apart."""
    brightness = np.random.default_rng(seed).uniform(0.1, 1, (count, 1, 1, 3))
    return (pictures(COLOUR, count, seed) * brightness).astype(np.uint8)


def channels(taken: list[int], count: int, height: int, width: int) -> Select:
    pixels = torch.arange(height * width).reshape(height, width)
    return Select(
        torch.stack([pixels + c * height * width if c >= 0 else pixels * 0 - 1 for c in taken]), (count, height, width)
    )


def headed(layers: dict[str, nn.Module], takes: dict[str, tuple[str, ...]], features: int) -> LayerGraph:
    """With global averaging and a Linear behind."""
    end = {"pool": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten(), "fc": nn.Linear(features, 5)}
    return LayerGraph({**layers, **end}, takes)


def graph_of(kind: str) -> nn.Sequential:
    """Over COLOUR, 3 x 12 x 10."""
    stem = {"stem": C(3, 8, 3, padding=1), "relu": R()}
    if kind == "residual blocks":
        down = Residual(basic_body(8, 12, 2), nn.Sequential(C(8, 12, 1, 2, bias=False), BN(12)))
        return nn.Sequential(
            *stem.values(), Residual(basic_body(8, 8, 1)), down, nn.AvgPool2d(3), nn.Flatten(), nn.Linear(24, 5)
        )
    if kind == "shortcut of an image":
        return headed({"a": C(3, 3, 3, padding=1), "sum": Add()}, {"sum": ("a", "input")}, 3)
    if kind == "images added":
        return headed({"sum": Add()}, {"sum": ("input", "input")}, 3)
    if kind == "sums of three":
        layers = {**stem, "a": C(8, 8, 1), "b": C(8, 8, 1), "one": Add(), "two": Add(), "end": R()}
        return headed(layers, {"b": ("relu",), "one": ("a", "b"), "two": ("one", "relu")}, 8)
    if kind == "twice the same":
        return headed({**stem, "a": C(8, 8, 1), "sum": Add()}, {"sum": ("a", "a")}, 8)
    if kind == "bytes added":
        layers = {**stem, "a": C(8, 8, 1), "b": nn.ReLU6(), "sum": Add(), "end": R()}
        return headed(layers, {"sum": ("b", "relu")}, 8)
    if kind == "sums used twice":
        layers = {**stem, "a": C(8, 8, 1), "b": R(), "c": C(8, 8, 1), "sum": Add()}
        return headed(layers, {"sum": ("a", "c")}, 8)
    if kind == "pre-activation":
        layers = {
            "stem": C(3, 8, 3, padding=1),
            "n1": BN(8),
            "r1": R(),
            "c1": C(8, 8, 3, padding=1),
            "sum": Add(),
            "n2": BN(8),
            "r2": R(),
        }
        return headed(layers, {"sum": ("c1", "stem")}, 8)
    if kind == "side by side":
        layers = {
            **stem,
            "a": C(8, 4, 1),
            "b": C(8, 6, 3, padding=1),
            "br": R(),
            "pool": nn.MaxPool2d(3, 1, 1),
            "d": C(8, 2, 1),
            "cat": Concat(),
            "n": BN(16),
            "r": R(),
        }
        layers["p2"] = layers.pop("pool")
        order = {"stem": 0, "relu": 0, "a": 0, "b": 0, "br": 0, "p2": 0, "d": 0, "cat": 0, "n": 0, "r": 0}
        layers = {name: layers[name] for name in order}
        layers["cat"], takes = Concat(), {"b": ("relu",), "p2": ("relu",), "cat": ("a", "br", "d")}
        layers["n"] = BN(12)
        return headed(layers, takes, 12)
    if kind == "with the image beside":
        return headed({**stem, "cat": Concat(), "c": C(11, 8, 3)}, {"cat": ("relu", "input")}, 8)
    if kind == "clamps beside":
        layers = {**stem, "six": nn.ReLU6(), "one": nn.Hardtanh(-1, 1), "cat": Concat(), "c": C(24, 8, 1)}
        return headed(layers, {"one": ("relu",), "cat": ("relu", "six", "one")}, 8)
    if kind == "heads":
        layers = {
            **stem,
            "pool": nn.AdaptiveAvgPool2d(1),
            "flat": nn.Flatten(),
            "a": nn.Linear(8, 2),
            "b": nn.Linear(8, 3),
            "cat": Concat(),
        }
        return LayerGraph(layers, {"b": ("flat",), "cat": ("a", "b")})
    if kind == "no activations":
        return headed({"a": C(3, 8, 3), "b": C(8, 8, 3), "p": nn.MaxPool2d(2), "avg": nn.AvgPool2d(2, 1, 1)}, {}, 8)
    if kind == "clamps":
        layers = {
            "a": C(3, 8, 3),
            "six": nn.Hardtanh(0, 0.7),
            "b": C(8, 8, 3),
            "t": nn.Hardtanh(-0.3, 0.5),
            "c": C(8, 8, 1),
            "low": nn.Hardtanh(0.1, 9.0),
            "d": C(8, 8, 1),
            "least": nn.Hardtanh(-float("inf"), 0.2),
        }
        return headed(layers, {}, 8)
    if kind == "activations of activations":
        layers = {
            "r0": R(),
            **stem,
            "six": nn.ReLU6(),
            "again": R(),
            "p": nn.MaxPool2d(2),
            "r2": R(),
            "avg": nn.AvgPool2d(2),
            "r3": R(),
            "c": C(8, 8, 1),
            "t": nn.Hardtanh(-0.1, 0.1),
        }
        return headed(layers, {}, 8)
    if kind == "norms":
        layers = {
            "n0": BN(3),
            **stem,
            "n1": BN(8),
            "c1": C(8, 8, 3, padding=1),
            "p": nn.MaxPool2d(2),
            "n2": BN(8),
            "r2": R(),
            "n3": BN(8),
            "c3": C(8, 8, 2),
            "r3": R(),
            "n4": BN(8),
        }
        return headed(layers, {}, 8)
    if kind == "norms of features":
        return nn.Sequential(
            *stem.values(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.BatchNorm1d(240),
            R(),
            nn.Linear(240, 9),
            R(),
            nn.BatchNorm1d(9),
            nn.Linear(9, 5),
        )
    if kind == "scales without a factor, a shift or both":
        one, other = torch.linspace(-0.5, 1.5, 8), torch.linspace(0.5, 1.5, 8)
        layers = {
            "s0": ChannelScale(torch.tensor([1.0, 0.5, 2.0])),
            **stem,
            "s1": ChannelScale(other),
            "c1": C(8, 8, 3, padding=1),
            "s2": ChannelScale(shift=one),
            "s3": ChannelScale(),
            "p": nn.MaxPool2d(2),
            "s4": ChannelScale(shift=one),
            "r4": R(),
            "s5": ChannelScale(other),
            "r5": R(),
            "s6": ChannelScale(),
            "r6": R(),
            "c6": C(8, 8, 2),
            "r7": R(),
            "s7": ChannelScale(shift=one),
            "avg": nn.AvgPool2d(2),
            "flat": nn.Flatten(),
            "s8": ChannelScale(shift=torch.linspace(0, 1, 32)),
            "s9": ChannelScale(),
            "fc": nn.Linear(32, 5),
            "s10": ChannelScale(torch.tensor([1.0, 2.0, -1.0, 0.5, 1.0])),
            "s11": ChannelScale(shift=torch.arange(5.0)),
            "s12": ChannelScale(),
        }
        return LayerGraph(layers)
    if kind == "kinds of convolution":
        layers = {
            "dw": C(3, 6, 3, groups=3, padding="same"),
            "r": R(),
            "dil": C(6, 8, (3, 2), dilation=(2, 1), padding="same"),
            "r2": R(),
            "g": C(8, 8, 3, groups=4, padding=1),
            "r3": R(),
            "d": C(8, 8, 3, groups=8, stride=2),
            "r4": R(),
            "odd": PaddedConv2d(8, 8, 3, sides=(0, 2, 1, 0)),
        }
        return headed(layers, {}, 8)
    if kind == "poolings":
        layers = {
            "p0": nn.MaxPool2d(2, 1, 1),
            "a": C(3, 8, 3, padding=1),
            "p1": nn.MaxPool2d(3, 2, 1, ceil_mode=True),
            "r": R(),
            "p2": nn.MaxPool2d((3, 2), (2, 1), (1, 0)),
            "p3": nn.AvgPool2d(2, 2, 1),
            "b": C(8, 8, 1),
            "p4": nn.AvgPool2d((1, 2), divisor_override=3),
        }
        return headed(layers, {}, 8)
    if kind == "channels taken":
        layers = {
            **stem,
            "sel": channels([7, 0, -1, 3, 3], 8, 12, 10),
            "c": C(5, 4, 3),
            "r": R(),
            "sel2": channels([3, 2, 1, 0], 4, 10, 8),
            "dw": C(4, 4, 3, groups=4),
        }
        return headed(layers, {}, 4)
    if kind == "split and shuffled":
        layers = {
            **stem,
            "left": channels([0, 1, 2, 3], 8, 12, 10),
            "right": channels([4, 5, 6, 7], 8, 12, 10),
            "c": C(4, 4, 1),
            "cr": R(),
            "cat": Concat(),
            "mix": channels([0, 4, 1, 5, 2, 6, 3, 7], 8, 12, 10),
        }
        return headed(layers, {"right": ("relu",), "cat": ("left", "cr")}, 8)
    if kind == "zeros for a shortcut":
        index = torch.full((12, 6, 5), -1)
        index[2:10] = torch.arange(8 * 12 * 10).reshape(8, 12, 10)[:, ::2, ::2]
        layers = {**stem, "c": C(8, 12, 3, 2, 1), "short": Select(index, (8, 12, 10)), "sum": Add(), "r": R()}
        return headed(layers, {"short": ("relu",), "sum": ("c", "short")}, 12)
    if kind == "zeros around":
        index = torch.full((8, 14, 12), -1)
        index[:, 1:13, 0:10] = torch.arange(960).reshape(8, 12, 10)
        layers = {
            "a": C(3, 8, 3, padding=1),
            "pad": Select(index, (8, 12, 10)),
            "b": C(8, 8, 3),
            "bias": ChannelScale(torch.ones(8), torch.full((8,), 0.1)),
        }
        return headed(layers, {}, 8)
    raise AssertionError(kind)


KINDS = [
    "residual blocks", "shortcut of an image", "images added", "sums of three", "twice the same", "bytes added",
    "sums used twice", "pre-activation", "side by side", "with the image beside", "clamps beside", "heads",
    "no activations", "clamps", "activations of activations", "norms", "norms of features",
    "scales without a factor, a shift or both", "kinds of convolution",
    "poolings", "channels taken", "split and shuffled", "zeros for a shortcut", "zeros around",
]  # fmt: skip


def made(kind: str, seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = lived_in(graph_of(kind))
    assert isinstance(model, nn.Sequential)
    return model


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", KINDS)
def test_folding_changes_nothing(kind, seed):
    model, x = made(kind, seed), normalised(photos(20, seed), COLOUR)
    before = copy.deepcopy(model.state_dict())
    folded = fold(model)
    with torch.no_grad():
        real = model(x)
        assert torch.allclose(folded(x), real, rtol=1e-4, atol=1e-4 * float(real.abs().max()))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    inputs = inputs_of(folded)
    users = {name: [user for user, taken in inputs.items() for one in taken if one == name] for name in inputs}
    for name, layer in list(folded.named_children())[:-1]:
        if role(layer, name) in (Role.SUMS, Role.SCALE, Role.ADDITION) and users[name]:
            (user,) = users[name]  # sums go to one place
            what = role(folded.get_submodule(user), user)
            assert what in (Role.ACTIVATION, Role.FLATTENING) or (what is Role.ADDITION and inputs[user][0] == name)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", KINDS)
def test_integers_are_close_to_the_floats_and_the_same_everywhere(kind, seed):
    model, images = made(kind, seed), photos(64, seed)
    x = normalised(images, COLOUR)
    with torch.no_grad():
        real = model(x).numpy()
    for method, form in calibrations(fold(model), [x], COLOUR.std).items():
        network = to_network(form, "n", COLOUR, list("abcde"))
        accumulators = ReferenceBackend(network).run(images)
        assert np.array_equal(CpuBackend(network).run(images), accumulators)
        logits = network.logits(accumulators)
        with torch.no_grad():
            fake = form(x).numpy()
        spread = real.std()
        assert np.abs(logits - fake).mean() < 0.02 * spread, method  # rounding of pad bytes and of halves
        assert np.abs(logits - real).mean() < 0.03 * spread, method
    compile_network(network, capacity=1)


def network_of(model: nn.Sequential, count: int = 5) -> Network:
    x = normalised(photos(), COLOUR)
    return to_network(
        calibrations(fold(model), [x], COLOUR.std, ["max"])["max"], "n", COLOUR, [str(i) for i in range(count)]
    )


def test_a_skip_is_exact_and_costs_no_layer():
    network = network_of(made("residual blocks"))
    skips = {layer.name: layer for layer in network.layers if getattr(layer, "skip", None) is not None}
    assert len(network.layers) == 8 and len(skips) == 2
    for layer in skips.values():
        times = layer.skip.multiplier.astype(int)
        assert (times >= 8).all()
        # The step of what is added is that many of the accumulator's: requantised alike, all channels agree.
        shared = layer.requantisation.multiplier / 2.0**layer.requantisation.shift * times
        assert np.ptp(shared) < 1e-4 * shared.mean()


def test_selections_go_into_the_convolution_behind_or_give_the_very_bytes():
    images = pictures(COLOUR, 4)
    network = network_of(made("split and shuffled"))
    found = dict(zip((layer.name for layer in network.layers), ReferenceBackend(network).activations(images)))
    assert "right" not in found or "left" not in found
    assert np.array_equal(found["left"], found["stem"][..., :4])
    assert np.array_equal(found["mix"], found["cat"][..., [0, 4, 1, 5, 2, 6, 3, 7]])
    plain = network_of(made("channels taken"))
    assert [layer.name for layer in plain.layers][:2] == ["stem", "c"] and plain.layers[1].weight.shape[3] == 8


def test_clamps_end_where_they_should():
    images = pictures(COLOUR, 40)
    model = made("clamps")
    x = normalised(images, COLOUR)
    folded = fold(model)
    form = calibrations(folded, [x], COLOUR.std, ["max"])["max"]
    with torch.no_grad():
        real = {name: values for name, _, _, values in walk(folded, x)}
        fake = {name: values for name, _, _, values in walk(form, x)}
    for name, high in (("six", 0.7), ("t", 0.5), ("low", 9.0), ("least", 0.2)):
        step = float(form.get_submodule(name).step)
        assert fake[name].max() <= high + 1e-6
        assert real[name].max() < high or fake[name].max() == pytest.approx(high, rel=0.01)
        assert fake[name].min() == pytest.approx(float(real[name].min()), abs=step)


def test_a_quantised_graph_is_trained_stored_and_loaded():
    model = made("residual blocks")
    x = normalised(pictures(COLOUR, 16), COLOUR)
    form = calibrations(fold(model), [x], COLOUR.std, ["mse"])["mse"]
    before = form(x).detach()
    optimiser = torch.optim.SGD(form.parameters(), lr=0.05)
    for _ in range(3):
        optimiser.zero_grad()
        nn.functional.cross_entropy(form(x), torch.arange(16) % 5).backward()
        optimiser.step()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for name, p in form.named_parameters() if "weight" in name)
    again = quantisable(fold(model), COLOUR.std)
    again.load_state_dict(form.state_dict())
    assert torch.equal(again(x), form(x)) and not torch.equal(again(x), before)
    network = to_network(again, "n", COLOUR, list("abcde"))
    logits = network.logits(ReferenceBackend(network).run(pictures(COLOUR, 16)))
    assert np.abs(logits - form(x).detach().numpy()).mean() < 0.03 * form(x).std().item()


@pytest.mark.parametrize("name", ["resnet8", "resnet20"])
def test_residual_recipes_fold_to_their_layers(name):
    model = lived_in(RECIPES[name].build())
    spec = InputSpec(32, 32, 3, "RGB", (0.5,) * 3, (0.25,) * 3)
    images = pictures(spec, 8)
    x = normalised(images, spec)
    network = to_network(
        calibrations(fold(model), [x], spec.std, ["max"])["max"], name, spec, [str(i) for i in range(10)]
    )
    convolutions = sum(isinstance(one, nn.Conv2d) for one in model.modules())
    assert len(network.layers) == convolutions + 2
    assert np.array_equal(CpuBackend(network).run(images), ReferenceBackend(network).run(images))


def test_what_is_one_step_is_one_group_for_all_methods():
    x = normalised(photos(), COLOUR)
    for method in METHODS:
        network = to_network(
            calibrations(fold(made("side by side")), [x], COLOUR.std, [method])[method], "n", COLOUR, list("abcde")
        )
        (joined,) = (node for node in network.nodes if isinstance(node.layer, IntegerConcat))
        assert len(set(joined.given[0].zero_point)) == 1 and joined.gives.zero_point[0] > 0


def test_poolings_keep_their_windows():
    network = network_of(made("poolings"))
    pools = [layer for layer in network.layers if isinstance(layer, (MaxPool2d, AvgPool2d))]
    assert [pool.padding for pool in pools[:4]] == [(1, 1, 1, 1), (1, 1, 1, 1), (1, 0, 1, 0), (1, 1, 1, 1)]


class Dense(nn.Sequential):
    """A Sequential in name: its forward does more."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, super().forward(x)], 1)


REFUSED = {
    "forward of its own": (
        nn.Sequential(Dense(C(3, 3, 1)), R(), C(6, 4, 1)),
        "in an order that only its forward tells",
    ),
    "forward of its own, outermost": (Dense(C(3, 3, 1)), "must be a torch.nn.Sequential, not Dense; make one of it"),
    "clamp of nothing": (nn.Sequential(C(3, 4, 1), nn.Hardtanh(), nn.Flatten()), "must end with"),
    "pooling last": (nn.Sequential(C(3, 4, 1), nn.MaxPool2d(2)), "must end with.*not with 1; remove it"),
    "input alone": (nn.Sequential(nn.Dropout()), "not with nothing"),
    "module with layers": (nn.Sequential(nn.TransformerEncoderLayer(4, 2)), "in an order that only its forward tells"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_integers_is_refused(case):
    model, message = REFUSED[case]
    with pytest.raises(NetworkError, match=message):
        fold(model)


def test_norms_over_flattened_images_are_not_made_a_square_of_any_size():
    model = lived_in(nn.Sequential(C(3, 64, 1), R(), nn.Flatten(), nn.BatchNorm1d(7680), R(), nn.Linear(7680, 5)))
    with pytest.raises(NetworkError, match="scales 7680 features.*put a BatchNorm2d before the flattening"):
        network_of(model)


def test_only_flattened_images_of_one_size_are_joined():
    layers = {
        "a": C(3, 4, 1),
        "ra": R(),
        "fa": nn.Flatten(),
        "b": C(3, 4, 3),
        "rb": R(),
        "fb": nn.Flatten(),
        "cat": Concat(),
        "fc": nn.Linear(800, 5),
    }
    graph = LayerGraph(layers, {"b": ("input",), "cat": ("fa", "fb")})
    with pytest.raises(NetworkError, match="joins flattened images of .* bring them to one height and width"):
        network_of(lived_in(graph))


def test_a_graph_is_a_sequential_that_knows_what_each_takes():
    graph = LayerGraph({"a": R(), "b": Add()}, {"b": ("a", "input")})
    assert not is_chain(graph) and is_chain(nn.Sequential(R())) and len(graph) == 2
    assert inputs_of(graph) == {"a": ("input",), "b": ("a", "input")}
    with pytest.raises(NetworkError, match="cannot be cut"):
        graph[:1]
    with pytest.raises(NetworkError, match="b takes c, which is not before it"):
        LayerGraph({"a": R(), "b": Add()}, {"b": ("a", "c")})


def test_selections_are_convolutions_of_ones_or_refused():
    image = np.arange(2 * 6 * 5).reshape(2, 6, 5)
    x = torch.arange(60.0).reshape(1, 2, 6, 5)
    padded = np.pad(image, ((0, 0), (3, 2), (0, 4)), constant_values=-1)
    for index in (
        image[::-1],
        image[:, ::2, 1::3],
        image[:, 2:4, :1],
        image[1:, 5:, 4:],
        padded,
        padded[:, ::2],
        image[:, 1:, :-2],
    ):
        made_ = one_hot(np.ascontiguousarray(index), (2, 6, 5))
        top, left, bottom, right = made_.padding
        kernel = made_.weight.shape[1:3]
        assert max(top, bottom) < kernel[0] and max(left, right) < kernel[1]
        given = nn.functional.pad(x, (left, right, top, bottom))
        weight = torch.from_numpy(made_.weight.transpose(0, 3, 1, 2).copy()).float()
        ours = nn.functional.conv2d(given, weight, stride=made_.stride)
        assert torch.equal(ours, Select(torch.from_numpy(index.copy()), (2, 6, 5))(x))
    for index in (image[:, ::-1], image.transpose(0, 2, 1), np.repeat(image, 2, 1)):
        with pytest.raises(NetworkError, match="no convolution; only whole channels"):
            one_hot(np.ascontiguousarray(index), (2, 6, 5))


def test_integer_layers_of_a_chain_name_no_inputs():
    network = network_of(nn.Sequential(C(3, 4, 3), R(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(80, 5)))
    assert all(layer.inputs == () for layer in network.layers) and isinstance(network.layers[0], IntegerConv2d)
