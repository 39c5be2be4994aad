"""Models of random architecture in every style of writing, to integers."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from own_models import IGNORE_NOISE, SIDE, images, logits, tensor
from quantising import simulate
from torch import nn

from host_train import from_torch
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.model import AvgPool2d

pytestmark = IGNORE_NOISE


class Styled(nn.Module):
    """A random network, every operation written in one of the ways that people write it."""

    def __init__(self, draw: st.DrawFn) -> None:
        super().__init__()
        self.steps: list[tuple[str, object]] = []
        self.pool, self.averaging, self.flattening = (
            nn.MaxPool2d(2),
            nn.AvgPool2d(2),
            nn.Flatten(),
        )  # used wherever they are drawn
        channels, side = draw(st.sampled_from([1, 3])), SIDE
        self.channels = channels
        for i in range(draw(st.integers(1, 3))):
            outputs, kernel = draw(st.integers(1, 6)), draw(st.integers(1, min(4, side)))
            padding = draw(st.integers(0, kernel // 2))
            block: list[nn.Module] = [nn.Conv2d(channels, outputs, kernel, padding=padding, bias=draw(st.booleans()))]
            if draw(st.booleans()):
                block.append(nn.BatchNorm2d(outputs))
            if draw(st.booleans()):
                block.append(nn.ReLU())
            has_relu = isinstance(block[-1], nn.ReLU)
            self.add_module(f"block{i}", nn.Sequential(*block))
            self.steps.append(("module", f"block{i}"))
            if not has_relu:
                self.steps.append(("relu", draw(st.integers(0, 3))))
            channels, side = outputs, side + 2 * padding - kernel + 1
            pool = draw(st.sampled_from(["none", "max", "max", "average"])) if side >= 4 else "none"
            if pool != "none":
                self.steps.append((pool, draw(st.integers(0, 2))))
                side //= 2
            if draw(st.booleans()):
                self.steps.append(("dropout", 0))
        if draw(st.booleans()):
            self.steps.append(("global", draw(st.integers(0, 3))))
            side = 1
        self.steps.append(("flatten", draw(st.integers(0, 5))))
        self.hidden, self.last = nn.Linear(channels * side * side, 7), nn.Linear(7, 4)
        self.steps += [("module", "hidden"), ("relu", draw(st.integers(0, 3))), ("module", "last")]
        if draw(st.booleans()):
            self.steps.append(("log_softmax", 0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for kind, way in self.steps:
            if kind == "module":
                x = getattr(self, str(way))(x)
            elif kind == "relu":
                x = (F.relu, torch.relu, lambda v: v.relu(), lambda v: F.relu(v, inplace=True))[way](x)
            elif kind == "max":
                x = (self.pool, lambda v: F.max_pool2d(v, 2), lambda v: F.max_pool2d(v, kernel_size=(2, 2), stride=2))[
                    way
                ](x)
            elif kind == "average":
                x = (self.averaging, lambda v: F.avg_pool2d(v, 2), lambda v: F.avg_pool2d(input=v, kernel_size=(2, 2)))[
                    way
                ](x)
            elif kind == "global":
                x = (
                    lambda v: F.adaptive_avg_pool2d(v, 1),
                    lambda v: F.avg_pool2d(v, v.size()[2:]),
                    lambda v: v.mean((2, 3)),
                    lambda v: torch.mean(v, dim=[-1, -2], keepdim=True),
                )[way](x)
            elif kind == "dropout":
                x = F.dropout(x, 0.5, training=self.training)
            elif kind == "flatten":
                x = (
                    lambda v: torch.flatten(v, 1),
                    lambda v: v.flatten(1),
                    lambda v: v.view(v.size(0), -1),
                    lambda v: v.reshape(v.shape[0], -1),
                    lambda v: v.contiguous().view(v.shape[0], -1),
                    self.flattening,
                )[way](x)
            else:
                x = F.log_softmax(x, dim=1)
        return x


@st.composite
def models(draw: st.DrawFn) -> Styled:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(draw(st.integers(0, 2**31)))
        model = Styled(draw)
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.3)
                layer.running_var.uniform_(0.3, 2)
                nn.init.uniform_(layer.weight, 0.5, 1.5)
                nn.init.normal_(layer.bias, 0.2, 0.2)
    return model


@settings(max_examples=40)
@given(
    models(),
    st.sampled_from(["uint8", "float", "batches"]),
    st.booleans(),
    st.sampled_from(["auto", "max", "percentile", "mse"]),
)
def test_integers_are_close_to_any_supported_model(model, form, training, method):
    mean, std = (0.4, 0.5, 0.3)[: model.channels], (0.3, 0.25, 0.2)[: model.channels]
    pictures = images(64, model.channels)
    inputs = (tensor(pictures) - torch.tensor(mean).reshape(-1, 1, 1)) / torch.tensor(std).reshape(-1, 1, 1)
    data = {
        "uint8": pictures,
        "float": inputs,
        "batches": [(batch, torch.zeros(len(batch))) for batch in inputs.split(10)],
    }[form]
    model.train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    network = from_torch(
        model, data, name="mine", mean=mean, std=std, method=method, min_agreement=0
    )  # untrained, it may hardly tell images apart

    assert all(module.training == training for module in model.modules())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    model.eval()
    with torch.no_grad():
        real = model(inputs).softmax(1).log().numpy()
    ours = torch.from_numpy(logits(network, pictures)).log_softmax(1).numpy()
    conversion = network.metadata["conversion"]
    assert conversion["images"] == 64 and conversion["source"] == "Styled"
    tried = ("max", "percentile", "mse") if method == "auto" else (method,)
    assert conversion["method"].removesuffix(", equalised") in tried
    # Random networks of few channels tell images apart by little, so the error is taken against the whole range of what
    # they say.
    assert np.abs(ours - real).mean() < 0.05 * np.ptp(real) and conversion["mean_error"] < 0.25
    if not any(isinstance(layer, AvgPool2d) for layer in network.layers):
        assert np.array_equal(ReferenceBackend(network).run(pictures), simulate(network, pictures))
    assert np.array_equal(network.golden.accumulators, ReferenceBackend(network).run(network.golden.images))
