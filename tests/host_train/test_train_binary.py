"""Binary networks: the layers' properties, and integers that answer as PyTorch does."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from host_train.evaluation.evaluate import predict_integers, predict_torch
from host_train.layers.binary import BinaryConv2d, BinaryLinear, Sign, binarise, clip_latent_weights
from host_train.networks.vgg_bnn import CENTRE, build_vgg_bnn
from host_train.quantisation.bits import binary_to_network
from host_train.quantisation.thresholds import thresholds
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import InputSpec

SPEC = InputSpec(32, 32, 3, "RGB", (CENTRE,) * 3, (CENTRE,) * 3)
CLASSES = tuple("0123456789")


def randomise(model: nn.Module, seed: int) -> nn.Module:
    """Batch norms as after training: any mean and variance, scales of either sign, some 0."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            n = len(module.weight)
            module.weight.data = torch.randn(n, generator=generator) * (torch.rand(n, generator=generator) > 0.1)
            module.bias.data = torch.randn(n, generator=generator) * 0.3
            module.running_mean = torch.randn(n, generator=generator) * 10
            module.running_var = torch.rand(n, generator=generator) * 500 + 1
    return model.eval()


@pytest.mark.parametrize("seed", range(3))
def test_integers_answer_as_pytorch(seed):
    """A whole vgg_bnn of 8 channels on random bytes: the same logits to the last bit of what float32 can hold."""
    torch.manual_seed(seed)
    model = randomise(build_vgg_bnn(8), seed)
    network = binary_to_network(model, "tiny", SPEC, CLASSES)
    images = np.random.default_rng(seed).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    ours, theirs = predict_integers(network)(images), predict_torch(model, SPEC.mean, SPEC.std)(images)
    assert len(np.unique(ours.round(3), axis=0)) > 1  # not all the same answer
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)
    assert np.array_equal(ours.argmax(1), theirs.argmax(1))


SIDE = 16
TAILS = {
    "norm, hardtanh": lambda n: [nn.BatchNorm2d(n), nn.Hardtanh()],
    "norm, hardtanh, pool": lambda n: [nn.BatchNorm2d(n), nn.Hardtanh(), nn.MaxPool2d(2)],
    "pool, norm, hardtanh": lambda n: [nn.MaxPool2d(2), nn.BatchNorm2d(n), nn.Hardtanh()],
    "norm, pool, hardtanh": lambda n: [nn.BatchNorm2d(n), nn.MaxPool2d(3, 2), nn.Hardtanh()],
    "pool, hardtanh, pool, norm": lambda n: [nn.MaxPool2d(2), nn.Hardtanh(), nn.MaxPool2d(2, 1), nn.BatchNorm2d(n)],
    "norm, pool, norm, hardtanh": lambda n: [nn.BatchNorm2d(n), nn.MaxPool2d(2), nn.BatchNorm2d(n), nn.Hardtanh()],
    "norm without affine": lambda n: [nn.MaxPool2d(2), nn.BatchNorm2d(n, affine=False), nn.Hardtanh()],
    "norm, hardtanh, sign": lambda n: [nn.BatchNorm2d(n), nn.Hardtanh(), Sign(torch.sign), nn.MaxPool2d(2)],
    "norm, hardtanh, binarise, pool": lambda n: [nn.BatchNorm2d(n), nn.Hardtanh(-0.1, 3), Sign(), nn.MaxPool2d(2)],
    "norm alone": lambda n: [nn.BatchNorm2d(n)],
    "hardtanh alone": lambda n: [nn.Hardtanh()],
    "nothing": lambda n: [],
}


@st.composite
def networks(draw: st.DrawFn) -> tuple[nn.Sequential, int]:
    """A random binary network in any of the orders that people write, with the statistics that it has on noise; and its
    input channels.
    """
    torch.manual_seed(draw(st.integers(0, 2**31)))
    layers: list[nn.Module] = []
    inputs = channels = draw(st.sampled_from([1, 3]))
    for i in range(draw(st.integers(1, 2))):
        outputs, kernel = draw(st.sampled_from([3, 8, 70])), draw(st.sampled_from([1, 3]))
        padding = draw(st.integers(0, kernel // 2))
        layers += [BinaryConv2d(channels, outputs, kernel, padding, input_step=None if i else 1 / 128)]
        layers += TAILS[draw(st.sampled_from(list(TAILS)))](outputs)
        channels = outputs
    layers.append(nn.Flatten())
    features = nn.Sequential(*layers)(torch.zeros(2, inputs, SIDE, SIDE)).shape[1]
    for _ in range(draw(st.integers(0, 2))):
        layers += [
            BinaryLinear(features, 9),
            *draw(st.sampled_from([[nn.BatchNorm1d(9), nn.Hardtanh()], [nn.Hardtanh(), Sign()], []])),
        ]
        features = 9
    layers.append(BinaryLinear(features, 5))
    nn.init.normal_(layers[-1].bias)
    if draw(st.booleans()):
        layers.append(nn.BatchNorm1d(5))
    model = nn.Sequential(*(copy.deepcopy(layer) for layer in layers))  # lists drawn twice hold the same layers
    norms = [layer for layer in model if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d))]
    for norm in norms:
        norm.momentum = None
        if norm.affine:
            norm.weight.data = torch.randn(norm.num_features) * (torch.rand(norm.num_features) > 0.1)
            norm.bias.data = torch.randn(norm.num_features) * 0.5
    with torch.no_grad():
        model.train()(torch.randint(-128, 128, (50, inputs, SIDE, SIDE)) / 128)
    return model.eval(), inputs


@settings(max_examples=120)
@given(networks())
def test_integers_answer_as_pytorch_whatever_the_order(drawn):
    model, channels = drawn
    spec = InputSpec(SIDE, SIDE, channels, {1: "L", 3: "RGB"}[channels], (CENTRE,) * channels, (CENTRE,) * channels)
    network = binary_to_network(model, "n", spec, "abcde")
    images = np.random.default_rng(0).integers(0, 256, (60, SIDE, SIDE, channels), dtype=np.uint8)
    ours, theirs = predict_integers(network)(images), predict_torch(model, spec.mean, spec.std)(images)
    # Another accumulator is a logit further by `scale` at least; a last batch norm of a tiny variance makes much of
    # float32's rounding.
    assert (np.abs(ours - theirs) <= 0.01 * network.output.scale + 1e-5).all()
    assert np.array_equal(ours.argmax(1), theirs.argmax(1))


def test_pooled_channels_of_negative_scale_are_not_the_same_whichever_comes_first():
    """The last test is about this: the order of pooling and batch norm matters, and both kinds of channels occur."""
    torch.manual_seed(0)
    images = np.random.default_rng(0).integers(0, 256, (20, 12, 12, 3), dtype=np.uint8)
    spec = InputSpec(12, 12, 3, "RGB", (CENTRE,) * 3, (CENTRE,) * 3)
    conv, norm, pool, fc = (
        BinaryConv2d(3, 8, 3, input_step=1 / 128),
        randomise(nn.BatchNorm2d(8), 1),
        nn.MaxPool2d(2),
        BinaryLinear(200, 5),
    )
    norm.running_mean.zero_()
    answers = []
    for order in ([conv, pool, norm], [conv, norm, pool]):
        model = nn.Sequential(*order, nn.Flatten(), fc)
        answers.append(predict_integers(binary_to_network(model, "n", spec, "abcde"))(images))
        np.testing.assert_allclose(answers[-1], predict_torch(model, spec.mean, spec.std)(images), rtol=1e-5, atol=1e-5)
    assert not np.allclose(*answers)
    assert 0 < (norm.weight < 0).sum() < 8


@settings(max_examples=50)
@given(st.integers(0, 2**31), st.integers(1, 500), st.booleans())
def test_thresholds_are_the_batch_norm_for_every_accumulator(seed, most, pooled):
    norm = randomise(nn.BatchNorm2d(8), seed)
    acc = np.broadcast_to(np.arange(-most, most + 1)[:, None], (2 * most + 1, 8))
    real = torch.from_numpy(acc.astype(np.float32))
    value, flip, opposite = thresholds(real, [], [norm]) if pooled else thresholds(real, [norm])
    ours = (np.where(flip, -acc, acc) >= value) ^ opposite
    with torch.no_grad():
        theirs = norm(real[:, :, None, None])[:, :, 0, 0] >= 0
    assert np.array_equal(ours, theirs.numpy())
    assert not (flip if pooled else opposite).any()


def test_a_sign_that_neither_rises_nor_falls_is_refused():
    with pytest.raises(NetworkError, match="not monotonous"):
        thresholds(torch.arange(-5.0, 6)[:, None], [Sign(lambda x: 4 - x.abs())])


def test_gradients_pass_the_sign_and_latent_weights_stay_in_range():
    layer = BinaryConv2d(2, 2, 3)
    before = layer.weight.detach().clone()
    optimiser = torch.optim.SGD(layer.parameters(), lr=100.0)
    layer(torch.randn(4, 2, 5, 5)).square().mean().backward()
    assert layer.weight.grad is not None and layer.weight.grad.abs().sum() > 0
    optimiser.step()
    assert layer.weight.abs().max() > 1
    clip_latent_weights(layer)
    assert layer.weight.abs().max() <= 1 and not torch.equal(layer.weight, before)


def test_hardtanh_stops_the_gradient_outside():
    x = torch.tensor([-1.5, -0.5, 0.5, 1.5], requires_grad=True)
    binarise(nn.functional.hardtanh(x)).sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 0]


def test_stochastic_weights_vary_in_training_only():
    layer = BinaryLinear(200, 3, stochastic=True)
    assert not torch.equal(layer.binary_weight(), layer.binary_weight())
    layer.eval()
    assert torch.equal(layer.binary_weight(), layer.binary_weight())
    assert torch.equal(layer.binary_weight(), torch.where(layer.weight >= 0, 1.0, -1.0))


@pytest.mark.parametrize(("kind", "sizes"), [(BinaryConv2d, (64, 128, 3)), (BinaryLinear, (4096, 10))])
def test_stochastic_weights_lean_towards_their_signs_from_the_start(kind, sizes):
    """Latent weights that all start near the middle of their window are tosses of a coin, of which nothing was
    learned.
    """
    layer = kind(*sizes, stochastic=True)
    drawn = torch.stack([layer.binary_weight().detach() for _ in range(50)]).mean(0)
    agreement = float((1 + drawn * layer.weight.detach().sign()).mean()) / 2
    assert 0.74 < agreement < 0.76  # evenly spread over the window
    layer.weight.data *= 100
    clip_latent_weights(layer)
    assert layer.weight.abs().max().item() == pytest.approx(layer.window)
    assert float((layer.binary_weight() == layer.weight.sign()).float().mean()) > 0.98


def test_a_network_of_stochastic_weights_learns():
    torch.manual_seed(0)
    x, classes = torch.randn(512, 256).sign(), torch.arange(512) % 4
    x[torch.arange(512)[:, None], classes[:, None] * 64 + torch.arange(48)] = 1.0  # a part of its own for each class
    net = nn.Sequential(
        BinaryLinear(256, 64, stochastic=True), nn.BatchNorm1d(64), nn.Hardtanh(), BinaryLinear(64, 4, stochastic=True)
    )
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(x), classes).backward()
        optimiser.step()
        clip_latent_weights(net)
    assert float((net.eval()(x).argmax(1) == classes).float().mean()) > 0.9


def first(**options) -> BinaryConv2d:
    return BinaryConv2d(3, 4, 3, input_step=1 / 128, **options)


FC = BinaryLinear(3600, 10)
REFUSED = {
    "no input_step": (
        [BinaryConv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Hardtanh()],
        "0 is the first layer and needs an input_step",
    ),
    "input_step": ([first(), nn.BatchNorm2d(4), first()], "2 has an input_step, but only the first layer sees bytes"),
    "wrong input_step": (
        [BinaryConv2d(3, 4, 3, input_step=1 / 64), nn.Flatten(), FC],
        "0: .*input_step 1, but .* is 1/128",
    ),
    "unknown": (
        [nn.Sigmoid()],
        "0 is a Sigmoid, which has no place in front of the first binary layer; use .*BinaryConv2d",
    ),
    "real layer": ([first(), nn.BatchNorm2d(4), nn.ReLU()], "2 is a ReLU, which has no place in a binary network"),
    "bytes into a linear layer": (
        [nn.Flatten(), FC],
        "1 is a BinaryLinear over bytes.*BinaryConv2d.*kernel is the whole image",
    ),
    "empty": ([], "must end with a BinaryLinear.*not with nothing"),
    "open end": ([first(), nn.BatchNorm2d(4), nn.Hardtanh()], "0: .*must end with a BinaryLinear"),
    "hardtanh at the end": ([first(), nn.Flatten(), FC, nn.Hardtanh()], "2: .*must end with a BinaryLinear"),
    "no statistics": (
        [first(), nn.BatchNorm2d(4, track_running_stats=False)],
        "1 keeps no running statistics; train it with track",
    ),
    "norm of pixels": (
        [first(), nn.Flatten(), nn.BatchNorm1d(3600)],
        "2 has 3600 channels, but 0 before it 4; put a BatchNorm2d",
    ),
    "pooling around a norm": (
        [first(), nn.MaxPool2d(2), nn.BatchNorm2d(4), nn.MaxPool2d(2)],
        "3 pools what is pooled already",
    ),
    "padded pooling": ([first(), nn.MaxPool2d(3, padding=1)], "1 has padding=1; in a binary network leave it out"),
    "padding": ([first(padding=3)], r"0 has padding=3, which must be smaller than its kernel \(3, 3\)"),
    "inputs": (
        [first(), nn.Flatten(), BinaryLinear(99, 10)],
        r"2 takes 99 inputs, but its input \(30, 30, 4\) has 3600",
    ),
    "NaN": (
        [first(), Sign(lambda x: (x.abs() < 1).float() - 0.5), nn.Flatten(), FC],
        "0: a batch norm is not monotonous",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_out_of_place_is_named(case):
    layers, message = REFUSED[case]
    with pytest.raises(NetworkError, match=f"^{message}" if message[0].isdigit() else message) as raised:
        binary_to_network(nn.Sequential(*layers), "n", SPEC, CLASSES)
    assert "\n" not in str(raised.value)


def test_the_gradient_of_signs_is_there_in_compiled_networks_too():
    """By torch 2.11's compiler, that of an autograd.Function was lost, and binary networks learnt nothing."""
    x = torch.tensor([-0.5, 0.0, 2.0], requires_grad=True)
    signs = torch.compile(lambda values: binarise(values), backend="aot_eager")(x)
    assert signs.tolist() == [-1.0, 1.0, 1.0]
    signs.sum().backward()
    assert x.grad is not None and x.grad.tolist() == [1.0, 1.0, 1.0]
