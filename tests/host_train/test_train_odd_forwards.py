"""Forwards that are legal, and written as few people write them: each is mapped, or refused with what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from families import smooth_images
from torch import nn

from host_train import from_torch
from host_train.tracing.trace import trace
from pynq_cnn.backends.kernel import KernelBackend
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import Network

IMAGES = smooth_images(24, 8)
Forward = Callable[[Any, torch.Tensor], Any]

pytestmark = pytest.mark.filterwarnings("ignore:.* does not use|the model gives the same answer")


class Odd(nn.Module):
    """Some layers, and a forward given as a function."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.stem, self.more, self.norm = (
            nn.Conv2d(3, 4, 3, padding=1),
            nn.Conv2d(4, 4, 3, padding=1),
            nn.BatchNorm1d(5),
        )
        self.pooled, self.flat, self.last = nn.Linear(4, 5), nn.Linear(256, 5), nn.Conv2d(4, 5, 1)
        self.slopes = nn.PReLU(4)
        with torch.no_grad():
            self.slopes.weight.copy_(torch.tensor([0.1, -0.3, 0.0, 1.7]))
            self.norm.running_mean.uniform_(-1, 1)
            self.norm.running_var.uniform_(0.5, 2)
        self.function = forward

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(self, x)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.stem(x))

    def head(self, x: torch.Tensor) -> torch.Tensor:
        return self.flat(x.flatten(1))

    def mean(self, x: torch.Tensor) -> torch.Tensor:
        return self.pooled(x.mean((2, 3)))


def converted(forward: Forward, **options: Any) -> tuple[Odd, Network]:
    model = Odd(forward).eval()
    return model, from_torch(model, IMAGES, name="odd", method="max", min_agreement=0, **options)


TAKEN: dict[str, Forward] = {
    "the first logits": lambda m, x: m.head(m.features(x))[:, :3],
    "every second logit": lambda m, x: m.head(m.features(x))[:, ::2],
    "the last logits": lambda m, x: m.head(m.features(x))[..., -3:],
    "logits in another order": lambda m, x: m.head(m.features(x))[:, [3, 0, 2]],
    "a part of them": lambda m, x: torch.split(m.head(m.features(x)), [2, 3], 1)[1],
    "some behind a norm": lambda m, x: m.norm(m.head(m.features(x)))[:, 1:4],
    "some behind a mean": lambda m, x: m.last(m.features(x)).mean((2, 3))[:, 1:4],
    "some of a convolution": lambda m, x: m.last(F.adaptive_avg_pool2d(m.features(x), 1)).flatten(1)[:, 2:],
    "some of a sum": lambda m, x: (m.head(m.features(x)) + m.mean(m.features(x)))[:, :3],
    "some, and all of them again": lambda m, x: torch.cat([(one := m.head(m.features(x)))[:, :2], one], 1),
    "a sigmoid of some": lambda m, x: m.head(m.features(x))[:, :3].sigmoid(),
    "some of a sigmoid": lambda m, x: m.head(m.features(x)).sigmoid()[:, :3],
    "a softmax of some": lambda m, x: F.softmax(m.head(m.features(x))[:, :3], -1),
    "sigmoids side by side": lambda m, x: torch.cat([m.head(y := m.features(x)).sigmoid(), m.mean(y).sigmoid()], 1),
    "leaky": lambda m, x: m.head(F.leaky_relu(m.stem(x), 0.2)),
    "leaky module": lambda m, x: m.head(nn.LeakyReLU(0.1)(m.stem(x))),
    "leaky above another": lambda m, x: m.head(F.leaky_relu(m.more(F.leaky_relu(m.stem(x), 0.1)), 0.1)),
    "leaky in front of pooling": lambda m, x: m.pooled(F.leaky_relu(m.stem(x)).amax((2, 3))),
    "leaky features": lambda m, x: m.norm(F.leaky_relu(m.head(m.features(x)), 0.3))[:, :4] * 2,
    "no slope": lambda m, x: m.head(F.leaky_relu(m.stem(x), 0.0)),
    "slopes by channel": lambda m, x: m.head(m.slopes(m.stem(x))),
    "one learned slope": lambda m, x: m.head(F.prelu(m.stem(x), m.slopes.weight[:1])),
    "random slopes": lambda m, x: m.head(F.rrelu(m.stem(x), 0.1, 0.5)),
    "magnitudes": lambda m, x: m.head(m.stem(x).abs()),
    "hardsigmoid": lambda m, x: m.head(F.hardsigmoid(m.stem(x))),
    "hardsigmoid module": lambda m, x: m.head(nn.Hardsigmoid()(m.stem(x))),
    "a threshold": lambda m, x: m.head(F.threshold(m.stem(x), 0.1, 0.1)),
    "not below": lambda m, x: m.head(torch.maximum(m.stem(x), torch.tensor(0.0))),
    "between": lambda m, x: m.head(m.stem(x).maximum(torch.tensor(-0.1)).minimum(torch.tensor(0.3))),
    "sums over pixels": lambda m, x: m.pooled(m.features(x).sum((2, 3))),
    "sums over a side": lambda m, x: m.pooled(m.features(x).sum(3, keepdim=True).sum(2).flatten(1)),
    "sums over channels": lambda m, x: m.head(F.relu(m.stem(x.sum(1, keepdim=True).expand(-1, 3, -1, -1)))),
    "grey": lambda m, x: m.head(m.features(x.mean(1, keepdim=True).repeat(1, 3, 1, 1))),
    "maxima": lambda m, x: m.pooled(m.features(x).amax((2, 3))),
    "maxima one by one": lambda m, x: m.pooled(torch.amax(m.features(x), -1).amax(-1)),
    "maxima of pixels in a row": lambda m, x: m.pooled(m.features(x).flatten(2).amax(2)),
    "a factor of a sum": lambda m, x: m.head(torch.add(y := m.features(x), m.more(y), alpha=0.5)),
    "a factor of a difference": lambda m, x: m.head(torch.sub(y := m.features(x), m.more(y), alpha=2)),
    "the other way round": lambda m, x: m.head(torch.rsub(y := m.features(x), m.more(y), alpha=0.5)),
    "its own size": lambda m, x: m.head(m.features(F.interpolate(x, size=(8, 8), mode="bilinear"))),
    "half its size": lambda m, x: m.pooled(m.features(F.interpolate(x, scale_factor=0.5)).mean((2, 3))),
    "larger, for a linear layer": lambda m, x: m.head(nn.Upsample(scale_factor=2)(F.max_pool2d(m.features(x), 2))),
    "repeated pixels": lambda m, x: m.head(m.features(x)[:, :, ::2].repeat_interleave(2, 2)),
    "spread means": lambda m, x: m.head(m.features(x).mean((2, 3), keepdim=True).tile(1, 1, 8, 8)),
    "channels last": lambda m, x: m.head(torch.moveaxis(m.features(x), 1, -1)),
    "turned": lambda m, x: m.head(torch.rot90(m.features(x).swapdims(2, 3), 1, (2, 3))),
    "double": lambda m, x: m.head(torch.nan_to_num(m.features(x)).double().float()),
}  # fmt: skip


@pytest.mark.parametrize("way", TAKEN)
def test_what_can_be_mapped_is(way: str) -> None:
    model, network = converted(TAKEN[way])
    octets = (IMAGES * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    ours = ReferenceBackend(network).run(octets)
    assert np.array_equal(KernelBackend(network).run(octets[:3]), ours[:3])
    with torch.no_grad():
        theirs = model(IMAGES).numpy()
        logits = trace(model, IMAGES[:2]).ending(torch.from_numpy(network.logits(ours))).numpy()
    assert np.abs(logits - theirs).max() < 0.03 * np.ptp(theirs), np.abs(logits - theirs).max() / np.ptp(theirs)


def test_one_logit_of_several_is_one_value() -> None:
    model, network = converted(lambda m, x: m.head(m.features(x))[:, 2], output="values")
    octets = (IMAGES * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    theirs = model(IMAGES).detach().numpy()
    assert np.abs(network.logits(ReferenceBackend(network).run(octets))[:, 0] - theirs).max() < 0.03 * np.ptp(theirs)


def test_logits_that_are_left_out_cost_nothing() -> None:
    _, all_of_them = converted(lambda m, x: m.head(m.features(x)))
    _, some = converted(lambda m, x: m.head(m.features(x))[:, [4, 1]])
    whole, part = all_of_them.layers[-1], some.layers[-1]
    assert len(some.layers) == len(all_of_them.layers) and part.name == whole.name
    assert (part.weight.shape, whole.weight.shape) == ((2, 256), (5, 256))


def test_a_slope_takes_two_layers_of_one_product_a_value() -> None:
    _, plain = converted(lambda m, x: m.head(F.relu(m.stem(x))))
    _, leaky = converted(lambda m, x: m.head(F.leaky_relu(m.stem(x), 0.1)))
    assert len(leaky.layers) == len(plain.layers) + 2
    assert sum(node.macs for node in leaky.nodes) == sum(node.macs for node in plain.nodes) + 2 * 8 * 8 * 4


REFUSED: dict[str, tuple[Forward, str]] = {
    "some of a softmax": (lambda m, x: m.head(m.features(x)).softmax(1)[:, :3], "some values of a softmax.*in front"),
    "one of a softmax": (lambda m, x: m.head(m.features(x)).softmax(1)[:, 1], "some values of a softmax"),
    "logits and zeros": (lambda m, x: F.pad(m.head(m.features(x)), (0, 2)), "the network must end with"),
    "some of a sum with a join": (
        lambda m, x: (m.head(y := m.features(x)) + torch.cat([m.mean(y)[:, :2], m.mean(y)[:, :3]], 1))[:, :3],
        "the network must end with",
    ),
    "a dictionary": (lambda m, x: {"a": m.head(m.features(x))}, r"not a dict; join several with torch.cat"),
    "a list": (lambda m, x: [m.head(m.features(x))], "not a list; join"),
    "a softmax and a sigmoid": (
        lambda m, x: torch.cat([m.head(m.features(x)).softmax(1), m.mean(m.features(x)).sigmoid()], 1),
        "a softmax can only be the last",
    ),
    "enlarged": (lambda m, x: m.mean(m.more(F.interpolate(m.features(x), scale_factor=2))), "makes an image larger"),
    "enlarged smoothly": (
        lambda m, x: m.mean(m.more(nn.Upsample(scale_factor=2, mode="bilinear")(m.features(x)))),
        "cannot be mapped; nothing here makes an image larger",
    ),
    "transposed": (lambda m, x: m.mean(F.conv_transpose2d(m.features(x), m.more.weight)), "makes an image larger"),
    "made smaller smoothly": (
        lambda m, x: m.mean(m.features(F.interpolate(x, scale_factor=0.5, mode="bilinear"))),
        "only the nearest pixels can, mode=nearest; use AvgPool2d",
    ),
    "mirrored": (lambda m, x: m.mean(m.features(x.flip(3))), r"in this order of the values cannot be mapped: this"),
    "linear at each pixel": (lambda m, x: m.pooled(m.features(x).permute(0, 2, 3, 1)).mean((1, 2)), "nn.Conv2d"),
    "the larger of two": (lambda m, x: m.head(torch.maximum(y := m.features(x), m.more(y))), r"b \+ F.relu\(a - b\)"),
    "between two": (lambda m, x: m.head(torch.lerp(y := m.features(x), m.more(y), 0.3)), r"a \+ weight \* \(b - a\)"),
    "a mask": (lambda m, x: m.head((y := m.stem(x)) * (y > 0)), r"for a ReLU use F.relu\(x\)"),
    "chosen": (lambda m, x: m.head(torch.where((y := m.stem(x)) > 0, y, 0.0)), r"for a ReLU use F.relu\(x\)"),
    "zeros like it": (lambda m, x: m.head(torch.maximum(y := m.stem(x), torch.zeros_like(y))), r"x.clamp\(min=0\)"),
    "a maximum with places": (lambda m, x: m.pooled(m.features(x).max(3)[0].max(2)[0]), r"use x.amax\(\(2, 3\)\)"),
    "a jump": (lambda m, x: m.head(F.threshold(m.stem(x), 0.5, 0.0)), "is a jump, which cannot be mapped; use ReLU"),
    "rounded": (lambda m, x: m.head(torch.round(m.features(x) * 15) / 15), "become bytes by themselves"),
    "half precision": (lambda m, x: m.head(m.features(x).half().float()), "become bytes by themselves"),
    "stacked": (lambda m, x: m.head(torch.stack([y := m.features(x), m.more(y)]).mean(0)), r"or a \+ b for a sum"),
    "over all channels": (lambda m, x: m.head(m.features(x).sum(1).repeat(1, 4, 1)), "over channels, dim=1"),
    "a maximum over channels": (lambda m, x: m.head(m.features(x).amax(1)), "over height and width, dim="),
    "of length one": (lambda m, x: F.normalize(m.head(m.features(x))), "say output 'values', and apply it to what"),
    "probabilities of a softmax": (lambda m, x: m.head(m.features(x)).log_softmax(1).exp(), "remove it, say output"),
    "the largest": (lambda m, x: m.head(m.features(x)).max(1), "Classifier.predict chooses the class"),
    "an einsum": (lambda m, x: torch.einsum("nchw,oc->no", m.features(x), m.pooled.weight), "use the module nn.Linear"),
    "a product and a sum": (lambda m, x: torch.addmm(m.pooled.bias, m.features(x).mean((2, 3)), m.pooled.weight.t()),
                            "use the module nn.Linear"),
    **{
        name: (lambda m, x, curve=curve: m.head(curve(m.stem(x))), "use ReLU and train it again")
        for name, curve in {
            "silu": F.silu, "gelu": F.gelu, "hardswish": F.hardswish, "mish": F.mish, "elu": F.elu, "celu": F.celu,
            "softplus": F.softplus, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "a square": torch.square,
            "SiLU": nn.SiLU(), "GELU": nn.GELU(), "Hardswish": nn.Hardswish(), "Softplus": nn.Softplus(),
        }.items()
    },
}  # fmt: skip


@pytest.mark.parametrize("way", REFUSED)
def test_what_cannot_is_refused_with_what_to_do(way: str) -> None:
    forward, message = REFUSED[way]
    with pytest.raises(NetworkError, match=message) as raised:
        converted(forward)
    assert "\n" not in str(raised.value)
