"""Binary models of the user's own, to bits."""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F
from own_models import IGNORE_NOISE, SIDE, images, logits, tensor
from torch import nn
from torch.nn.utils import parametrizations, prune

from host_train import from_torch
from host_train.layers.binary import BinaryConv2d, BinaryLinear, Sign, binarise
from host_train.networks.vgg_bnn import CENTRE
from host_train.quantisation.bits import binary_to_network
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import InputSpec

pytestmark = IGNORE_NOISE


class Bits(nn.Module):
    """Two convolutions of bits, in the order of VGG-like networks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = BinaryConv2d(3, 8, 3, padding=1, input_step=1 / 128), BinaryConv2d(8, 8, 3, padding=1)
        self.norm1, self.norm2 = nn.BatchNorm2d(8), nn.BatchNorm2d(8)
        self.act, self.pool, self.fc = nn.Hardtanh(), nn.MaxPool2d(2), BinaryLinear(8 * 36, 5)
        for norm in (self.norm1, self.norm2):
            norm.running_mean.normal_(0, 5)
            norm.running_var.uniform_(1, 100)
            nn.init.normal_(norm.weight)

    def forward(self, x):
        x = F.hardtanh(self.norm1(self.conv1(x)))
        x = self.pool(self.act(self.norm2(self.conv2(x))))
        return self.fc(x.flatten(1))


class PoolFirst(Bits):
    """BinaryNet's order: the maximum is taken of sums."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = BinaryLinear(8 * 25, 5)

    def forward(self, x):
        x = self.norm1(F.max_pool2d(self.conv1(x), 3, stride=1))
        x = self.act(self.norm2(torch.max_pool2d(self.conv2(F.hardtanh(x)), 2, []))).sign()
        return self.fc(x.flatten(1))


class Head(Bits):
    """Fully connected layers of bits behind the convolutions, batch norm behind the logits, signs written out."""

    def __init__(self) -> None:
        super().__init__()
        self.norm2 = nn.BatchNorm2d(8, affine=False)
        self.hidden, self.norm3, self.norm4, self.fc = (
            BinaryLinear(8 * 36, 9),
            nn.BatchNorm1d(9),
            nn.BatchNorm1d(5),
            BinaryLinear(9, 5),
        )
        self.sign = Sign()

    def forward(self, x):
        x = binarise(F.hardtanh(self.norm1(self.conv1(x))))
        x = self.pool(torch.sign(self.norm2(self.conv2(x)))).flatten(1)
        x = self.sign(F.hardtanh(self.norm3(self.hidden(x))))
        return F.log_softmax(self.norm4(self.fc(x)), dim=1)


def bits(kind: type[Bits] = Bits, seed: int = 0) -> Bits:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = kind()
        with torch.no_grad():
            for norm in model.modules():
                if isinstance(norm, nn.BatchNorm1d):
                    nn.init.normal_(norm.weight)
                    nn.init.normal_(norm.bias)
    return model


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", [Bits, PoolFirst, Head])
def test_binary_blocks_become_bits_and_agree_on_every_image(kind, seed):
    pictures = images(40, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # bits are nothing that is too large for the accelerator
        network = from_torch(bits(kind, seed), pictures, name="bits", mean=CENTRE, std=CENTRE)
    kinds = [type(layer).__name__ for layer in network.layers]
    if kind is Bits:
        assert kinds == ["Conv2d", "BinaryConv2d", "MaxPool2d", "BinaryConv2d"]
    conversion = network.metadata["conversion"]
    assert conversion["agreement"] == 1 and conversion["max_error"] < 1e-4 and conversion["method"] == "binary"
    fresh = images(40, 3, seed=1)
    with torch.no_grad():
        theirs = bits(kind, seed).eval()((tensor(fresh) - CENTRE) / CENTRE).log_softmax(1)
    ours = torch.from_numpy(logits(network, fresh)).log_softmax(1)
    assert torch.allclose(ours, theirs, atol=1e-4) and torch.equal(ours.argmax(1), theirs.argmax(1))


def test_a_pooling_that_a_binary_network_calls_twice_is_there_twice():
    pool, act = nn.MaxPool2d(2), nn.Hardtanh()
    first, second = BinaryConv2d(3, 8, 3, padding=1, input_step=1 / 128), BinaryConv2d(8, 8, 3, padding=1)
    layers = (
        first,
        pool,
        nn.BatchNorm2d(8),
        act,
        second,
        pool,
        nn.BatchNorm2d(8),
        act,
        nn.Flatten(),
        BinaryLinear(8 * 9, 5),
    )
    model, spec = nn.Sequential(*layers).eval(), InputSpec(SIDE, SIDE, 3, "RGB", (CENTRE,) * 3, (CENTRE,) * 3)
    for network in (
        from_torch(model, images(8, 3), name="n", spec=spec),
        binary_to_network(model, "n", spec, tuple("abcde")),
    ):
        assert [type(layer).__name__ for layer in network.layers].count("MaxPool2d") == 2


def test_masks_of_pruning_and_parametrisations_of_binary_layers_act():
    model = bits()
    prune.random_unstructured(model.conv2, "weight", amount=0.5)  # 0 counts as +1
    weight_norm = parametrizations.weight_norm(model.fc)
    with torch.no_grad():
        weight_norm.parametrizations.weight.original1.neg_()
        model.norm2.weight.abs_()  # so that no rows are negated
    network = from_torch(model, images(20, 3), name="n", mean=CENTRE, std=CENTRE)
    assert network.metadata["conversion"]["agreement"] == 1
    assert (network.layers[1].signs() == 1).mean() > 0.6


def test_a_binary_network_whose_sums_are_rounded_is_refused():
    model = nn.Sequential(
        BinaryConv2d(1, 16, 3, input_step=1 / 255),
        nn.BatchNorm2d(16),
        nn.Hardtanh(),
        nn.Flatten(),
        BinaryLinear(1600, 3),
    )
    with pytest.raises(
        NetworkError,
        match="gives other logits in PyTorch than in bits, on .* of 64 calibration images.*input_step=1/128",
    ):
        from_torch(model, images() % 8, name="n")  # sums of few small bytes are often 0, but not so in float32
