"""From the grid in floating point to the integers of docs/contract/numerics.md."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from quantising import COLOUR, GREY, normalised, pictures, simulate, small_net
from torch import nn

from host_train.quantisation.calibrate import METHODS, calibrate
from host_train.quantisation.choose import Candidate, choose
from host_train.quantisation.fold import fold
from host_train.quantisation.golden import with_golden
from host_train.quantisation.to_network import to_network
from pynq_cnn.backends.reference import ExactMatrix, ReferenceBackend, convolve
from pynq_cnn.errors import ArgumentError, NetworkError
from pynq_cnn.model import Conv2d, InputSpec, Network, load_package, save_package


def quantised(net: nn.Module, spec: InputSpec, method: str = "max") -> nn.Sequential:
    return calibrate(fold(net), [normalised(pictures(spec, seed=9), spec)], spec.std, method)


def network_of(net: nn.Module, spec: InputSpec, method: str = "max") -> Network:
    made = quantised(net, spec, method)
    outputs = list(made.children())[-1].weight.shape[0]
    return to_network(made, "test", spec, [str(i) for i in range(outputs)])


def test_the_shipped_lenet_is_pytorchs_integers_too():
    package = Path(__file__).parents[2] / "pynq_cnn"
    network = load_package(package / "models" / "lenet")
    with np.load(package / "samples" / "mnist.npz", allow_pickle=False) as sample:
        images = np.concatenate([network.golden.images, sample["images"][..., None]])
    acc = simulate(network, images)
    assert np.array_equal(ReferenceBackend(network).run(images), acc)
    assert np.array_equal(network.golden.accumulators, acc[:32])


@pytest.mark.parametrize("spec", [GREY, COLOUR])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(3))
def test_the_reference_is_pytorchs_integers_to_the_last_bit(spec, method, seed):
    network = network_of(small_net(spec, seed), spec, method)
    extremes = np.stack([np.zeros(spec.shape), np.full(spec.shape, 255)]).astype(np.uint8)
    images = np.concatenate([extremes, pictures(spec, 30, seed)])
    assert np.array_equal(ReferenceBackend(network).run(images), simulate(network, images))


@pytest.mark.parametrize("spec", [GREY, COLOUR])
@pytest.mark.parametrize("seed", range(3))
def test_integers_are_close_to_floating_point_and_closer_to_the_fake(spec, seed):
    """Unpadded inputs make the comparison sharp: a padded first layer differs by the rounding of its pad bytes."""
    net = small_net(spec, seed)
    net[0][0].padding = (0, 0)
    net[6] = nn.Linear(9 * ((spec.height - 2) // 2 - 1) * (((spec.width - 2) // 2 - 2) // 2), 7)
    images = pictures(spec, 200, seed)
    network, x = network_of(net, spec), normalised(images, spec)
    logits = network.logits(ReferenceBackend(network).run(images))
    with torch.no_grad():
        real, fake = net(x).numpy(), quantised(net, spec)(x).numpy()
    spread = real.std()
    assert np.abs(logits - fake).mean() < 0.01 * spread
    assert np.abs(logits - real).mean() < 0.05 * spread


def test_normalisation_and_padding_are_folded_into_the_first_layer():
    """With weights that are on their grid, accumulators are the real convolution, but for the rounding of bias and pad
    bytes.
    """
    spec = InputSpec(
        9, 8, 3, "BGR", (100 / 255, 50 / 255, 200 / 255), (0.5, 0.25, 0.125)
    )  # pad bytes and 1/std are exact
    generator = np.random.default_rng(0)
    units = generator.integers(-127, 128, (5, 3, 3, 3))
    units[:, 0, 0, 0] = 127
    layer, last = nn.Conv2d(3, 5, 3, padding=1), nn.Linear(5 * 72, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(units / 512 * np.array(spec.std).reshape(1, 3, 1, 1)))
    net = nn.Sequential(layer, nn.ReLU(), nn.Flatten(), last)
    made = network_of(net, spec)
    first = made.layers[0]
    assert isinstance(first, Conv2d) and made.input.zero_points == (100, 50, 200)
    assert np.array_equal(first.weight, units.transpose(0, 2, 3, 1))
    images = pictures(spec, 10)
    x = torch.from_numpy(((images / 255 - spec.mean) / spec.std).transpose(0, 3, 1, 2))
    real = F.conv2d(x, layer.weight.double(), layer.bias.double(), padding=1).detach().numpy() * 512 * 255
    sums = convolve(images, first, ExactMatrix.of(first.weight), np.array(made.input.zero_points))
    acc = (sums + first.bias).transpose(0, 3, 1, 2)
    assert np.abs(acc - real).max() <= 0.51


def test_fully_connected_weights_follow_hwc_order():
    net = nn.Sequential(nn.Flatten(), nn.Linear(12 * 10 * 3, 5), nn.ReLU(), nn.Linear(5, 3))
    network, images = network_of(net, COLOUR), pictures(COLOUR, 50)
    with torch.no_grad():
        real = net(normalised(images, COLOUR)).numpy()
    logits = network.logits(ReferenceBackend(network).run(images))
    assert np.corrcoef(logits.ravel(), real.ravel())[0, 1] > 0.999


def test_dead_and_lopsided_channels():
    """A channel of zeros, one that is only a bias, and one whose bias dwarfs its weights."""
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 3))
    with torch.no_grad():
        net[0].weight[:3] = 0
        net[0].bias[:] = torch.tensor([0.0, 1.5, -2.0, 1.0])
        net[0].weight[3] *= 1e-12
        net[3].weight[1] = 0
        net[3].bias[1] = 0
    network, images = network_of(net, GREY), pictures(GREY, 20)
    first = ReferenceBackend(network).activations(images)[0]
    real = F.relu(net[0](normalised(images, GREY))).detach().numpy().transpose(0, 2, 3, 1)
    assert np.abs(first * (real.max() / 255) - real).max() < real.max() / 255
    assert not first[..., 0].any() and not first[..., 2].any() and (first[..., 1] == 255).all()
    assert np.array_equal(ReferenceBackend(network).run(images), simulate(network, images))
    assert (network.logits(ReferenceBackend(network).run(images))[:, 1] == 0).all()


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_any_scale_of_weights_gives_a_valid_network_that_agrees(seed, first, second):
    """Scales that cancel out change nothing but the multipliers."""
    net = nn.Sequential(nn.Conv2d(1, 3, 3, stride=3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2))
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        for layer, scale in ((net[0], first), (net[3], second)):
            nn.init.normal_(layer.weight)
            nn.init.normal_(layer.bias)
            layer.weight *= scale
            layer.bias *= scale
    network, images = network_of(net, GREY), pictures(GREY, 10)
    assert np.array_equal(ReferenceBackend(network).run(images), simulate(network, images))
    with torch.no_grad():
        real = net(normalised(images, GREY)).numpy()
    error = np.abs(network.logits(ReferenceBackend(network).run(images)) - real)
    # One unit of a weight and half a unit of an activation, over all 48 inputs, is more than can go wrong.
    bound = (
        np.abs(net[3].weight.detach().numpy()).max()
        * F.relu(net[0](normalised(images, GREY))).max().item()
        * 48
        * (0.5 / 127 + 2 / 255 + 0.01)
    )
    assert error.max() <= bound + 1e-3 * np.abs(real).max()


def test_what_is_not_calibrated_is_refused():
    with pytest.raises(NetworkError, match="fold and calibrate"):
        to_network(fold(small_net(GREY)), "test", GREY, "abcd")
    with pytest.raises(NetworkError, match="put a Flatten"):
        to_network(quantisable_linear(), "test", GREY, "ab")
    with pytest.raises(NetworkError, match="does not take an input of shape"):
        to_network(quantised(small_net(GREY), GREY), "test", COLOUR, "abcd")


def quantisable_linear() -> nn.Sequential:
    return calibrate(fold(nn.Sequential(nn.Linear(12, 2))), [torch.zeros(1, 1, 12, 12)], (1.0,))


def test_golden_vectors_hold_extremes_and_survive_the_package(tmp_path):
    images = pictures(GREY, 100)
    network = with_golden(network_of(small_net(GREY), GREY), images)
    golden = network.golden
    assert golden.images.shape == (32, 12, 12, 1) and len({image.tobytes() for image in golden.images}) == 32
    assert (
        not golden.images[0].any() and (golden.images[1] == 255).all() and set(np.unique(golden.images[2])) == {0, 255}
    )
    assert np.array_equal(golden.images[2] + golden.images[3], golden.images[1])
    assert all((images == image).all((1, 2, 3)).any() for image in golden.images[8:])
    assert np.array_equal(golden.accumulators, simulate(network, golden.images))
    save_package(network, tmp_path / "package")
    assert load_package(tmp_path / "package") == network


def test_the_best_candidate_is_chosen():
    network = network_of(small_net(GREY), GREY)
    given_ = [
        Candidate(name, network, top1, loss)
        for name, top1, loss in [("a", 0.9, 0.1), ("b", 0.95, 0.3), ("c", 0.95, 0.2), ("d", 0.95, 0.2)]
    ]
    assert choose(given_).label == "c"
    with pytest.raises(ArgumentError):
        choose([])


def test_a_layer_that_is_there_twice_counts_twice():
    relu, conv = nn.ReLU(), nn.Conv2d(1, 1, 3, padding=1)
    model = nn.Sequential(conv, relu, conv, relu, nn.Flatten(), nn.Linear(16, 2)).eval()
    folded, x = fold(model), torch.rand(3, 1, 4, 4)
    assert len(folded) == 6 and torch.allclose(folded(x), model(x), atol=1e-6)


def test_names_that_would_become_one_are_refused():
    inner = nn.Sequential(OrderedDict(b=nn.Conv2d(1, 1, 3), relu=nn.ReLU()))
    model = nn.Sequential(OrderedDict(a=inner, a_b=nn.Conv2d(1, 1, 3), flat=nn.Flatten()))
    with pytest.raises(NetworkError, match="two layers would be called a_b"):
        fold(model)
