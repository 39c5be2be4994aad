"""Models of the user's own, in every style of writing, to integers."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from test_train_quantisation import simulate  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.utils import parametrizations, prune  # noqa: E402

import host_train  # noqa: E402
from host_train import from_torch  # noqa: E402
from host_train.layers.binary import BinaryConv2d, BinaryLinear, Sign, binarise  # noqa: E402
from host_train.networks.vgg_bnn import CENTRE  # noqa: E402
from host_train.quantisation.bits import binary_to_network  # noqa: E402
from host_train.quantisation.fixed_point import fixed_point  # noqa: E402
from host_train.tracing.convert import BATCH  # noqa: E402
from host_train.tracing.trace import trace  # noqa: E402
from pynq_cnn.backends.reference import ReferenceBackend, requantise  # noqa: E402
from pynq_cnn.errors import ArgumentError, ModelPackageError, NetworkError  # noqa: E402
from pynq_cnn.model import AvgPool2d, InputSpec, Network, Requantisation, load_package  # noqa: E402

SIDE = 12
# Kernels here are often whole images; images are often noise, which untrained models take for one class.
IGNORED = (
    ".* does not fit the accelerator",
    "the calibration images look like noise",
    "there are only",
    "the model gives the same answer for all",
)
pytestmark = [pytest.mark.filterwarnings(f"ignore:{message}") for message in IGNORED]


def warnings_are_errors() -> None:
    """But for those of noise."""
    warnings.simplefilter("error")
    for message in IGNORED[1:]:
        warnings.filterwarnings("ignore", message)


def images(count: int = 64, channels: int = 1, side: int = SIDE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), np.uint8)


def tensor(pictures: np.ndarray) -> torch.Tensor:
    """float32 [n, channels, height, width] in 0..1."""
    return torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy()).float() / 255


def logits(network: Network, pictures: np.ndarray) -> np.ndarray:
    return network.logits(ReferenceBackend(network).run(pictures))


def line_of(model: nn.Module, code: str) -> str:
    """`file:line` of the first line of the model's forward that holds `code`."""
    lines, first = inspect.getsourcelines(type(model).forward)
    return f"test_train_from_torch.py:{first + next(i for i, line in enumerate(lines) if code in line)}"


# ---------------------------------------------------------------------------------------- random architectures


class Styled(nn.Module):
    """A random network, every operation written in one of the ways that people write it."""

    def __init__(self, draw: st.DrawFn) -> None:
        super().__init__()
        self.steps: list[tuple[str, object]] = []
        self.pool, self.averaging, self.flattening = nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Flatten()  # used wherever they are drawn
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
                x = (self.pool, lambda v: F.max_pool2d(v, 2), lambda v: F.max_pool2d(v, kernel_size=(2, 2), stride=2))[way](x)
            elif kind == "average":
                x = (self.averaging, lambda v: F.avg_pool2d(v, 2), lambda v: F.avg_pool2d(input=v, kernel_size=(2, 2)))[way](x)
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
@given(models(), st.sampled_from(["uint8", "float", "batches"]), st.booleans())
def test_integers_are_close_to_any_supported_model(model, form, training):
    mean, std = (0.4, 0.5, 0.3)[: model.channels], (0.3, 0.25, 0.2)[: model.channels]
    pictures = images(64, model.channels)
    inputs = (tensor(pictures) - torch.tensor(mean).reshape(-1, 1, 1)) / torch.tensor(std).reshape(-1, 1, 1)
    data = {"uint8": pictures, "float": inputs, "batches": [(batch, torch.zeros(len(batch))) for batch in inputs.split(10)]}[form]
    model.train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    network = from_torch(model, data, name="mine", mean=mean, std=std, min_agreement=0)  # untrained, it may hardly tell images apart

    assert all(module.training == training for module in model.modules())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    model.eval()
    with torch.no_grad():
        real = model(inputs).softmax(1).log().numpy()
    ours = torch.from_numpy(logits(network, pictures)).log_softmax(1).numpy()
    conversion = network.metadata["conversion"]
    assert conversion["images"] == 64 and conversion["source"] == "Styled" and conversion["method"] in ("max", "percentile", "mse")
    # Random networks of few channels tell images apart by little, so the error is taken against the whole range of what they say.
    assert np.abs(ours - real).mean() < 0.05 * np.ptp(real) and conversion["mean_error"] < 0.25
    if not any(isinstance(layer, AvgPool2d) for layer in network.layers):
        assert np.array_equal(ReferenceBackend(network).run(pictures), simulate(network, pictures))
    assert np.array_equal(network.golden.accumulators, ReferenceBackend(network).run(network.golden.images))


# ----------------------------------------------------------------------------------------------- real models


class Digits(nn.Module):
    """As tutorials write it: everything in functions, modules used twice, an argument that nobody gives."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.drop, self.pool = nn.Dropout(), nn.MaxPool2d(2)
        self.fc1, self.fc2 = nn.Linear(36, 8), nn.Linear(8, 3)

    def forward(self, x, scale=None):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x))) if scale is None else scale * x
        x = x.view(-1, 36)
        x = F.relu(self.fc1(self.drop(x)))
        return F.softmax(self.fc2(x), dim=1)


def digits(seed: int = 0) -> Digits:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Digits()


def test_layers_have_the_modules_names_and_the_softmax_is_left_to_the_host(tmp_path):
    model = digits()
    network = from_torch(
        model, images(), name="digits", classes=["a", "b", "c"], metadata={"dataset": "noise"}, folder=tmp_path / "package"
    )
    assert [layer.name for layer in network.layers] == ["conv1", "pool", "conv2", "pool_2", "fc1", "fc2"]
    assert network.classes == ("a", "b", "c") and network.metadata["dataset"] == "noise"
    assert load_package(tmp_path / "package") == network
    ours = torch.from_numpy(logits(network, images())).softmax(1)
    with torch.no_grad():
        theirs = model.eval()(tensor(images()))
    assert torch.allclose(ours, theirs, atol=0.02) and network.metadata["conversion"]["mean_error"] < 0.1


def test_methods_and_the_number_of_images_are_obeyed():
    network = from_torch(digits(), images(50), name="n", method="percentile", images=20)
    assert network.metadata["conversion"]["method"] == "percentile" and network.metadata["conversion"]["images"] == 20
    errors = {m: from_torch(digits(), images(), name="n", method=m).metadata["conversion"] for m in ("max", "percentile", "mse", "auto")}
    best = min(("max", "percentile", "mse"), key=lambda m: (-errors[m]["agreement"], errors[m]["mean_error"]))
    assert errors["auto"] == errors[best]


def test_the_spec_says_how_pictures_are_fitted():
    spec = InputSpec(SIDE, SIDE, 1, "L", (0.5,), (0.25,), "digit", "auto")
    assert from_torch(digits(), images(), name="n", spec=spec).input == spec


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 1, 3, padding=1), nn.Linear(SIDE * SIDE, 2)
        self.auxiliary = nn.Linear(3, 3)

    def forward(self, x):
        return self.fc(self.conv(self.conv(x).relu()).relu().flatten(1))


def test_a_layer_used_twice_is_two_layers_and_an_unused_one_is_named():
    with pytest.warns(UserWarning, match="Twice does not use auxiliary"):
        network = from_torch(Twice(), images(), name="n")
    first, second, _ = network.layers
    assert (first.name, second.name) == ("conv", "conv_2") and np.array_equal(first.weight, second.weight)


class Own(nn.Conv2d):
    """A layer derived from one that is known."""


def test_derived_layers_and_single_layers_are_taken():
    with warnings.catch_warnings():
        warnings_are_errors()
        network = from_torch(nn.Sequential(Own(1, 2, 8), nn.Flatten()), images(side=8), name="n")
    assert network.shapes() == [(1, 1, 2)]
    assert from_torch(nn.Conv2d(1, 2, SIDE), images(), name="n").shapes() == [(1, 1, 2)]


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
        self.hidden, self.norm3, self.norm4, self.fc = BinaryLinear(8 * 36, 9), nn.BatchNorm1d(9), nn.BatchNorm1d(5), BinaryLinear(9, 5)
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
    layers = (first, pool, nn.BatchNorm2d(8), act, second, pool, nn.BatchNorm2d(8), act, nn.Flatten(), BinaryLinear(8 * 9, 5))
    model, spec = nn.Sequential(*layers).eval(), InputSpec(SIDE, SIDE, 3, "RGB", (CENTRE,) * 3, (CENTRE,) * 3)
    for network in (from_torch(model, images(8, 3), name="n", spec=spec), binary_to_network(model, "n", spec, tuple("abcde"))):
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
        BinaryConv2d(1, 16, 3, input_step=1 / 255), nn.BatchNorm2d(16), nn.Hardtanh(), nn.Flatten(), BinaryLinear(1600, 3)
    )
    with pytest.raises(NetworkError, match="gives other logits in PyTorch than in bits, on .* of 64 calibration images.*input_step=1/128"):
        from_torch(model, images() % 8, name="n")  # sums of few small bytes are often 0, but not so in float32


# --------------------------------------------------------------------------------------- pruned and shared weights


def test_pruned_weights_stay_zero_with_their_masks_attached(tmp_path):
    model = digits()
    for layer in (model.conv1, model.conv2, model.fc1):
        prune.l1_unstructured(layer, "weight", amount=0.7)
    masks = {name: getattr(model, name).weight_mask.clone() for name in ("conv1", "conv2", "fc1")}
    with torch.no_grad():  # as an optimiser's step: `weight` is stale until the next forward
        for name in masks:
            getattr(model, name).weight_orig += 0.05
    network = from_torch(model, images(), name="n", shared=True, folder=tmp_path / "package")
    layers = {layer.name: layer for layer in network.layers}
    for name, mask in masks.items():
        weight = layers[name].weight
        shape = mask.shape if mask.ndim == 4 else (8, 4, 3, 3)
        zeros = (mask.numpy() == 0).reshape(shape).transpose(0, 2, 3, 1).reshape(weight.shape)
        assert (weight[zeros] == 0).all() and (weight != 0).mean() > 0.2
        assert layers[name].shared is not None
        assert prune.is_pruned(getattr(model, name))
    assert network.metadata["conversion"]["mean_error"] < 0.1
    assert load_package(tmp_path / "package") == network
    with torch.no_grad():
        expected = model.conv1.weight_orig * model.conv1.weight_mask
    step = expected.abs().max() / 127
    assert np.array_equal(layers["conv1"].weight.transpose(0, 3, 1, 2), torch.round(expected / step).int().numpy())


@pytest.mark.parametrize("shared", [False, True])
def test_shared_weights_stay_shared(shared):
    model = digits()
    values = torch.tensor([0.0, 0.11, -0.07, 0.3, -0.21])
    with torch.no_grad():
        for layer in (model.conv1, model.conv2, model.fc1, model.fc2):
            layer.weight.copy_(values[torch.randint(5, layer.weight.shape, generator=torch.Generator().manual_seed(1))])
    network = from_torch(model, images(), name="n", shared=shared)
    for layer in network.layers:
        if not hasattr(layer, "weight"):
            continue
        rows = [layer.weight] if shared else list(layer.weight)
        assert all(len(np.unique(row)) <= 5 for row in rows)
        assert (layer.shared is not None) == shared
    assert network.metadata["conversion"]["mean_error"] < 0.1


def test_parametrised_weights_are_taken_as_they_act():
    model = digits()
    parametrizations.weight_norm(model.fc1)
    with torch.no_grad():
        model.fc1.parametrizations.weight.original0.mul_(2)
    network = from_torch(model, images(), name="n")
    assert network.metadata["conversion"]["mean_error"] < 0.1


# ------------------------------------------------------------------------------------------------- refusals


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4 * SIDE * SIDE, 2)
        self.more, self.pool = nn.Conv2d(4, 4, 3, padding=1), nn.MaxPool2d(3, stride=1, padding=1)
        self.grouped, self.dilated = nn.Conv2d(4, 4, 3, padding=1, groups=2), nn.Conv2d(4, 4, 3, padding=2, dilation=2)
        self.norm, self.lrn = nn.BatchNorm2d(4), nn.LocalResponseNorm(2)


class Residual(Base):
    def forward(self, x):
        x = F.relu(self.conv(x))
        y = F.relu(self.more(x))
        return self.fc((x + y).flatten(1))  # here


class InPlaceResidual(Base):
    def forward(self, x):
        x = F.relu(self.conv(x))
        y = F.relu(self.more(x))
        y += x  # here
        return self.fc(y.flatten(1))


class Join(Base):
    def forward(self, x):
        x = F.relu(self.conv(x))
        x = torch.cat([x, F.relu(self.more(x))], 1)  # here
        return self.fc(x[:, :4].flatten(1))


class Branch(Base):
    def forward(self, x):
        a = F.relu(self.conv(x))
        b = F.relu(self.more(a))
        a = self.grouped(a)  # here
        return self.fc((a * b).flatten(1))


class Condition(Base):
    def forward(self, x):
        x = F.relu(self.conv(x))
        if x.sum() > 0:  # here
            x = self.more(x)
        return self.fc(x.flatten(1))


class Length(Base):
    def forward(self, x):
        x = F.relu(self.conv(x))
        return self.fc(x.view(len(x), -1))  # here


class Inline(Base):
    def forward(self, x):
        x = nn.ReLU()(self.conv(x))  # here
        return self.fc(x.flatten(1))


class Sigmoid(Base):
    def forward(self, x):
        x = torch.sigmoid(self.conv(x))  # here
        return self.fc(x.flatten(1))


class Groups(Base):
    def forward(self, x):
        x = F.relu(self.conv(x))
        x = F.relu(self.grouped(x))  # here
        return self.fc(torch.tanh(x).flatten(1))


class Dilation(Base):
    def forward(self, x):
        x = F.relu(self.conv(x))
        x = F.relu(self.dilated(x))  # here
        return self.fc(x.flatten(1))


class PaddedPooling(Base):
    def forward(self, x):
        x = F.relu(self.conv(x))
        x = self.pool(x)  # here
        return self.fc(x.flatten(1))


class Ceiling(Base):
    def forward(self, x):
        x = F.relu(self.conv(x))
        x = F.max_pool2d(x, 1, ceil_mode=True)  # here
        return self.fc(x.flatten(1))


class Indices(Base):
    def forward(self, x):
        x = F.relu(self.conv(x))
        x, where = F.max_pool2d(x, 1, return_indices=True)  # here
        return self.fc(x.flatten(1))


class Uneven(Base):
    def forward(self, x):
        x = F.relu(self.conv(x))
        x = F.adaptive_avg_pool2d(x, 5)  # here
        return self.fc(F.interpolate(x, SIDE).flatten(1))


class WrongMean(Base):
    def forward(self, x):
        x = F.relu(self.conv(x))
        x = x.mean(1, keepdim=True)  # here
        return self.fc(x.repeat(1, 4, 1, 1).flatten(1))


class WrongView(Base):
    def forward(self, x):
        x = F.relu(self.conv(x))
        x = x.view(x.size(0), 2, -1)  # here
        return self.fc(F.relu(x).flatten(1))


class AlwaysDropout(Base):
    def forward(self, x):
        x = F.dropout(F.relu(self.conv(x)), 0.3)  # here
        return self.fc(x.flatten(1))


class NoActivation(Base):
    def forward(self, x):
        x = self.conv(x)  # here
        return self.fc(x.flatten(1))


class LateNorm(Base):
    def forward(self, x):
        x = F.relu(self.conv(x))
        x = self.norm(x)  # here
        return self.fc(x.flatten(1))


class OtherNorm(Base):
    def forward(self, x):
        x = F.relu(self.lrn(self.conv(x)))  # here
        return self.fc(x.flatten(1))


class Softmax(Base):
    def forward(self, x):
        x = F.relu(self.conv(x)).flatten(1)
        x = F.softmax(x, dim=1)  # here
        return self.fc(x)


class Functional(Base):
    def forward(self, x):
        x = F.relu(F.conv2d(x, self.conv.weight, padding=1))  # here
        return self.fc(x.flatten(1))


class Unused(Base):
    def forward(self, x):
        x = self.conv(x)
        F.relu(x, inplace=True)  # here
        return self.fc(x.flatten(1))


class Several(Base):
    def forward(self, x):
        x = F.relu(self.conv(x))
        a, b = x.chunk(2, 1)  # here
        return self.fc(torch.cat([a, b], 1).flatten(1))


class Misfit(Base):
    def forward(self, x):
        x = F.relu(self.conv(x))
        return self.fc(F.max_pool2d(x, 2).flatten(1))  # here


class MisfitLater(Base):
    def forward(self, x):
        x = torch.tanh(self.conv(x))  # here
        return self.fc(F.max_pool2d(x, 2).flatten(1))


class Tuple(Base):
    def forward(self, x):
        x = F.relu(self.conv(x))
        return self.fc(x.flatten(1)), 1


class NotLast(Base):
    def forward(self, x):
        y = F.relu(self.conv(x))
        self.more(y)  # here
        return self.fc(y.flatten(1))


class Normalised(Base):
    def forward(self, x):
        x = (x - 0.5) / 0.5  # here
        return self.fc(F.relu(self.conv(x)).flatten(1))


class NormalisedByBuffers(Base):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.5]))

    def forward(self, x):
        x = x - self.mean.view(1, -1, 1, 1)  # here
        return self.fc(F.relu(self.conv(x)).flatten(1))


class Temperature(Base):
    def forward(self, x):
        x = self.fc(F.relu(self.conv(x)).flatten(1))
        x *= 2.0  # here
        return x


class Product(Base):
    def forward(self, x):
        x = F.relu(self.conv(x)).flatten(1)
        return x @ self.fc.weight.t()  # here


class PoolBeforePadding(Base):
    def forward(self, x):
        x = F.max_pool2d(x, 2)
        x = F.relu(self.conv(x))  # here
        return self.fc(F.interpolate(x, SIDE).flatten(1))


class PaddedByMore(Base):
    def __init__(self) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(4, 4, 3, padding=5)

    def forward(self, x):
        x = F.relu(self.conv(x))
        x = self.c1(x)  # here
        return self.fc(torch.tanh(x)[:, :, :SIDE, :SIDE].flatten(1))


class LongStride(Base):
    def __init__(self) -> None:
        super().__init__()
        self.c1, self.fc = nn.Conv2d(4, 4, 3, stride=300), nn.Linear(4, 2)

    def forward(self, x):
        x = F.relu(self.conv(x))
        x = F.relu(self.c1(x))  # here
        return self.fc(x.flatten(1))


class Pixels(Base):
    def forward(self, x):
        x = F.relu(self.conv(x))
        x = self.more(x)  # here
        return x.flatten(1)


class Unflattened(Base):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(SIDE, 2)

    def forward(self, x):
        x = F.relu(self.conv(x))
        return self.fc(x)  # here


class TwiceReLU(Base):
    def forward(self, x):
        x = F.relu(self.conv(x))
        x = F.relu(x)  # here
        return self.fc(torch.sigmoid(x).flatten(1))


class NoActivationBeforeOthers(Base):
    def forward(self, x):
        x = F.max_pool2d(self.conv(x), 1)  # here
        x = self.more(x)
        return self.fc(torch.sigmoid(x).flatten(1))


class NoActivationBeforeMisfit(Base):
    def forward(self, x):
        x = self.conv(x)  # here
        x = self.more(x)
        return self.fc(F.max_pool2d(x, 2).flatten(1))


class SoftmaxBeforeOthers(Base):
    def forward(self, x):
        x = F.relu(self.conv(x)).flatten(1)
        x = self.fc(F.softmax(x, dim=1))  # here
        return torch.sigmoid(x)


class BitsAndNoStatistics(Base):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = BinaryConv2d(1, 4, 3, input_step=1 / 128), nn.BatchNorm2d(4, track_running_stats=False)
        self.last = BinaryLinear(400, 2)

    def forward(self, x):
        x = F.hardtanh(self.norm(self.first(x)))  # here
        return self.last(x.flatten(1))


class BitsFullyConnected(Base):
    def __init__(self) -> None:
        super().__init__()
        self.last = BinaryLinear(SIDE * SIDE, 2)

    def forward(self, x):
        return self.last(x.flatten(1))  # here


class BitsOpenEnd(Base):
    def __init__(self) -> None:
        super().__init__()
        self.first = BinaryConv2d(1, 4, SIDE, input_step=1 / 128)

    def forward(self, x):
        return F.hardtanh(self.first(x)).flatten(1)  # here


class EndsWithReLU(Base):
    def forward(self, x):
        return F.relu(self.fc(F.relu(self.conv(x)).flatten(1)))  # here


REFUSALS = {
    Residual: "2 tensors go into one operation.*no branches: leave the skip connection away",
    InPlaceResidual: "2 tensors go into one.*skip connection",
    Join: "2 tensors go into one.*use one wider Conv2d",
    Branch: "does not take the result of the operation before it",
    Condition: "cannot be traced.*control flow.*leave away conditions",
    Length: r"cannot be traced.*len.*torch.flatten\(x, 1\)",
    Inline: "cannot be traced.*make every module in __init__",
    Sigmoid: "sigmoid: a sigmoid can only be the last operation; use ReLU between layers and train it again",
    Groups: "grouped has groups=2",
    Dilation: r"dilated has dilation=\(2, 2\)",
    PaddedPooling: "pool has padding=1",
    Ceiling: "ceil_mode=True",
    Indices: "several tensors.*without return_indices",
    Uneven: r"of \(12, 12\) to \(5, 5\) has windows of different sizes",
    WrongMean: r"a mean over dimensions 1 of \(2, 4, 12, 12\)",
    WrongView: r"making \(2, 2, 288\) of \(2, 4, 12, 12\) cannot be mapped",
    AlwaysDropout: "training=self.training",
    NoActivation: "conv has no ReLU behind it",
    LateNorm: "norm does not follow a Conv2d or Linear",
    OtherNorm: "LocalResponseNorm cannot be mapped; use BatchNorm2d",
    Softmax: "a softmax can only be the last",
    Functional: "use the module nn.Conv2d",
    Unused: "its result is not used",
    Several: "several tensors",
    Misfit: "fc fails on the calibration images: mat1 and mat2 shapes cannot be multiplied",
    MisfitLater: "tanh: it cannot be mapped",
    NotLast: "its result is not used",
    Normalised: "sub: it cannot be mapped; leave it away here: what normalises the images goes into the mean and std",
    NormalisedByBuffers: "sub: it cannot be mapped; leave it away here",
    Temperature: "i?mul: it cannot be mapped; leave it away here.* a factor or shift behind a layer into that layer's weights",
    Product: "matmul: it cannot be mapped; use the module nn.Linear",
    PoolBeforePadding: "conv pads behind a max pooling of the image.*give it padding=0, or put the pooling behind it",
    PaddedByMore: r"c1 has padding=\(5, 5\), which must be smaller than the kernel \(3, 3\); use less",
    LongStride: r"c1.stride must be 2 integer\(s\) from 1 to 255, not \(300, 300\)",
    Pixels: r"more is the last layer and gives 12 x 12 pixels.*put nn.AdaptiveAvgPool2d\(1\), or nn.Flatten and nn.Linear, behind it",
    Unflattened: r"fc: it takes \[n, features\], not \(2, 4, 12, 12\); flatten each image",
    TwiceReLU: "relu_1 does not follow a Conv2d or Linear; remove it",
    NoActivationBeforeOthers: "conv has no ReLU behind it",
    NoActivationBeforeMisfit: "conv has no ReLU behind it",
    SoftmaxBeforeOthers: "a softmax can only be the last",
    BitsAndNoStatistics: "norm keeps no running statistics; train it with track_running_stats=True",
    BitsFullyConnected: "last is a BinaryLinear over bytes.*use one whose kernel is the whole image",
    BitsOpenEnd: "first: a binary network must end with a BinaryLinear",
    EndsWithReLU: "relu_1: the network must end with.*not with relu_1; leave it away",
}


@pytest.mark.filterwarnings("ignore:.* does not use")
@pytest.mark.parametrize("kind", REFUSALS, ids=lambda kind: kind.__name__)
def test_the_first_operation_that_cannot_be_mapped_is_named_with_its_line(kind):
    model = kind()
    with pytest.raises(NetworkError, match=f"(?s){REFUSALS[kind]}") as raised:
        from_torch(model, images(8), name="n")
    assert line_of(model, "# here") in str(raised.value), str(raised.value)
    assert "\n" not in str(raised.value)
    assert model.training


def test_forward_must_return_the_logits_alone():
    with pytest.raises(NetworkError, match="Tuple.forward must return one tensor, the logits, not a tuple"):
        from_torch(Tuple(), images(8), name="n")


def test_modules_without_source_lines_are_named_by_their_path():
    model = nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 3), nn.GELU()), nn.Flatten(), nn.Linear(200, 2))
    with pytest.raises(NetworkError, match=r"^0\.1: a GELU cannot be mapped; use ReLU"):
        from_torch(model, images(8), name="n")


C, R = nn.Conv2d, nn.ReLU
SEQUENCES = {
    "no ReLU, then no counterpart": ([C(1, 2, 3), C(2, 2, 3), nn.Sigmoid(), nn.Flatten(), nn.Linear(128, 2)], "0 has no ReLU behind it"),
    "no counterpart": (
        [C(1, 2, 3), nn.Sigmoid(), C(2, 2, 3), nn.Flatten(), nn.Linear(128, 2)],
        "1: a sigmoid can only be the last operation",
    ),
    "option, then no ReLU": ([C(1, 2, 3), R(), C(2, 2, 3, dilation=2), C(2, 2, 3)], "2 has dilation"),
    "average of an image": ([nn.AvgPool2d(2), C(1, 2, 3), nn.Tanh()], "0 averages what no layer has made bytes of; put it behind a Conv2d"),
    "batch norm first": ([nn.BatchNorm2d(1), C(1, 2, 3), nn.Tanh()], "0 does not follow a Conv2d or Linear"),
    "wrapped": ([nn.DataParallel(C(1, 2, 12))], "give from_torch the model inside it: model.module"),
}


@pytest.mark.parametrize("case", SEQUENCES)
def test_the_first_layer_that_cannot_be_mapped_is_named_in_a_sequence(case):
    layers, message = SEQUENCES[case]
    with pytest.raises(NetworkError, match=message) as raised:
        from_torch(nn.Sequential(*layers), images(8), name="n")
    assert "\n" not in str(raised.value)


def hooked(kind: type[nn.Module]) -> nn.Module:
    """A model whose layer of this kind has a hook that changes its values."""
    if kind in (BinaryConv2d, BinaryLinear, nn.Hardtanh, Sign):
        model: nn.Module = nn.Sequential(
            *(BinaryConv2d(3, 8, 3, input_step=1 / 128), nn.BatchNorm2d(8), nn.Hardtanh(), Sign(), nn.Flatten(), BinaryLinear(800, 3))
        )
    else:
        model = nn.Sequential(
            *(
                nn.Conv2d(3, 4, 3),
                nn.BatchNorm2d(4),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.Dropout(),
                nn.AvgPool2d(2),
                nn.Flatten(),
                nn.Linear(16, 3),
            )
        )
    layer = next(one for one in model if isinstance(one, kind))
    layer.register_forward_hook(lambda module, inputs, output: output.roll(1, 1) - 0.3)
    return model


WITH_HOOKS = [BinaryConv2d, BinaryLinear, nn.Hardtanh, Sign]
WITH_HOOKS += [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.Dropout, nn.AvgPool2d, nn.Flatten, nn.Linear]


@pytest.mark.parametrize("kind", WITH_HOOKS, ids=lambda kind: kind.__name__)
def test_what_the_trace_does_not_see_is_found_by_comparing(kind):
    with pytest.raises(NetworkError, match="gives something else than the layers that were found in it; it has a hook"):
        from_torch(hooked(kind), images(8, 3), name="n", mean=CENTRE, std=CENTRE)


def test_hooks_that_change_nothing_do_no_harm():
    seen, model = [], hooked(nn.ReLU)
    for layer in model:
        layer._forward_hooks.clear()
        layer.register_forward_hook(lambda module, inputs, output: seen.append(module))
    assert from_torch(model, images(8, 3), name="n").metadata["conversion"]["images"] == 8 and seen


def test_a_binary_net_with_a_real_layer_is_refused_at_its_line():
    class Mixed(Base):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = BinaryConv2d(1, 4, 3, input_step=1 / 128), BinaryLinear(400, 2)

        def forward(self, x):
            x = F.hardtanh(self.norm(self.first(x)))
            x = F.relu(x)  # here
            return self.last(x.flatten(1))

    model = Mixed()
    with pytest.raises(NetworkError, match="relu is a ReLU, which has no place") as raised:
        from_torch(model, images(8), name="n", mean=CENTRE, std=CENTRE)
    assert line_of(model, "# here") in str(raised.value)


PICTURES = tensor(images(8))
UNUSABLE = {
    "no model": (lambda: from_torch(Digits, images(8), name="n"), ArgumentError, "give an object of it"),
    "method": (lambda: from_torch(digits(), images(8), name="n", method="median"), ArgumentError, "auto, max, percentile, mse"),
    "count": (lambda: from_torch(digits(), images(8), name="n", images=0), ArgumentError, "images must be an integer from 1, not 0"),
    "double model": (
        lambda: from_torch(digits().double(), images(8), name="n"),
        NetworkError,
        "conv1.weight is torch.float64.*float",
    ),
    "half model": (lambda: from_torch(digits().bfloat16(), images(8), name="n"), NetworkError, "torch.bfloat16"),
    "NaN in the model": (lambda: from_torch(broken(), images(8), name="n"), NetworkError, "NaN or infinity on the calibration images"),
    "both": (
        lambda: from_torch(digits(), images(8), name="n", spec=InputSpec(SIDE, SIDE, 1, "L", (0.0,), (1.0,)), mean=0.5),
        ArgumentError,
        "in the InputSpec, not beside it",
    ),
    "empty": (lambda: from_torch(digits(), [], name="n"), ArgumentError, "no images"),
    "empty array": (lambda: from_torch(digits(), images(0), name="n"), ArgumentError, "no images"),
    "a path": (lambda: from_torch(digits(), "photos", name="n"), ArgumentError, "not 'photos'"),
    "a number": (lambda: from_torch(digits(), 3, name="n"), ArgumentError, "such as a DataLoader; not 3"),
    "batches of names": (lambda: from_torch(digits(), [["a.png"]], name="n"), ArgumentError, "it holds a str"),
    "single images": (lambda: from_torch(digits(), list(PICTURES), name="n"), ArgumentError, "make batches with a DataLoader"),
    "labels": (lambda: from_torch(digits(), torch.zeros(8, dtype=torch.int64), name="n"), ArgumentError, "not torch.int64"),
    "objects": (lambda: from_torch(digits(), np.array([None]), name="n"), ArgumentError, "not object"),
    "a numpy number": (lambda: from_torch(digits(), np.array(3.0), name="n"), ArgumentError, "a single number"),
    "mean of colours": (lambda: from_torch(digits(), images(8, 3), name="n", mean=[1, 2]), ArgumentError, "or 3, one per channel, not"),
    "channels": (lambda: from_torch(digits(), torch.zeros(8, 2, 5, 5), name="n"), ArgumentError, "1 or 3 channels"),
    "other sizes": (
        lambda: from_torch(digits(), [torch.zeros(1, 1, 12, 12), torch.zeros(1, 1, 9, 12)], name="n"),
        ArgumentError,
        r"must be \(1, 12, 12\).*not \(1, 9, 12\)",
    ),
    "NaN": (lambda: from_torch(digits(), torch.full((2, 1, 12, 12), float("nan")), name="n"), ArgumentError, "NaN or infinity"),
    "not normalised so": (
        lambda: from_torch(digits(), PICTURES * 255, name="n"),
        ArgumentError,
        "not from 0 to 1; give the mean",
    ),
    "mean": (
        lambda: from_torch(digits(), images(8), name="n", mean=(0.1, 0.2)),
        ArgumentError,
        r"mean must be one number, not \(0.1, 0.2\)",
    ),
    "mean in words": (lambda: from_torch(digits(), images(8), name="n", mean="abc"), ArgumentError, "mean must be one number, not 'abc'"),
    "mean as a dict": (lambda: from_torch(digits(), images(8), name="n", mean={}), ArgumentError, "mean must be one number"),
    "std as a table": (lambda: from_torch(digits(), images(8), name="n", std=[[1.0]]), ArgumentError, "std must be one number"),
    "number of classes": (
        lambda: from_torch(digits(), images(8), name="n", classes=5),
        ArgumentError,
        "classes must be strings, one for each output.*not 5",
    ),
    "set of classes": (lambda: from_torch(digits(), images(8), name="n", classes=set("abc")), ArgumentError, "in their order"),
    "metadata": (lambda: from_torch(digits(), images(8), name="n", metadata=[1]), ArgumentError, r"metadata must be a dict.*\[1\]"),
    "spec": (lambda: from_torch(digits(), images(8), name="n", spec="mnist"), ArgumentError, "spec must be a .*InputSpec, not 'mnist'"),
    "folder by number": (lambda: from_torch(digits(), images(8), name="n", folder=5), ArgumentError, "folder must be a path, not 5"),
    "lazy layers": (
        lambda: from_torch(nn.Sequential(nn.Flatten(), nn.LazyLinear(3)), images(8), name="n"),
        NetworkError,
        "1.weight has no shape yet; load the weights, or run the model once",
    ),
    "meta device": (lambda: from_torch(digits().to("meta"), images(8), name="n"), NetworkError, "conv1.weight is on the meta device"),
    "std": (lambda: from_torch(digits(), images(8), name="n", std=0), NetworkError, "positive"),
    "classes": (lambda: from_torch(digits(), images(8), name="n", classes=["a"]), ArgumentError, "classes must be 3 strings"),
    "name": (lambda: from_torch(digits(), images(8), name=""), NetworkError, "name must be a text"),
    "folder": (lambda: from_torch(digits(), images(8), name="n", folder="."), ModelPackageError, "not a model package"),
}


def broken() -> Digits:
    model = digits()
    with torch.no_grad():
        model.fc1.bias[0] = float("nan")
    return model


@pytest.mark.parametrize("case", UNUSABLE)
def test_unusable_arguments_are_told(case):
    call, kind, message = UNUSABLE[case]
    with pytest.raises(kind, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)


# ------------------------------------------------------------------------------------------------- odds and ends


def test_uint8_images_of_either_library_are_the_same_images():
    pictures = images(8, 3)
    model = nn.Sequential(nn.Conv2d(3, 2, SIDE), nn.Flatten())
    ours = from_torch(model, pictures, name="n")
    assert from_torch(model, torch.from_numpy(pictures).permute(0, 3, 1, 2), name="n") == ours
    assert from_torch(model, torch.from_numpy(pictures), name="n") == ours
    assert from_torch(model, torch.from_numpy(pictures).permute(0, 3, 1, 2).double() / 255, name="n").layers == ours.layers
    grey = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 2))
    assert from_torch(grey, images(8)[..., 0], name="n") == from_torch(grey, images(8), name="n")


class Sizes(Base):
    def forward(self, x):
        x = torch.max_pool2d(F.relu(self.conv(x)), 2, [])
        x = F.avg_pool2d(x, (2,), stride=())
        return self.fc(x.flatten(1))


def test_sizes_are_read_as_pytorch_reads_them():
    model = Sizes()
    model.conv, model.fc = nn.Conv2d(1, 4, 3, stride=(1,), padding=(1,)), nn.Linear(36, 2)
    with pytest.warns(UserWarning, match="does not use more, grouped"):
        network = from_torch(model, images(), name="n")
    modules = nn.Sequential(model.conv, nn.ReLU(), nn.MaxPool2d((2,)), nn.AvgPool2d((2,)), nn.Flatten(), model.fc)
    assert [type(layer).__name__ for layer in network.layers] == ["Conv2d", "MaxPool2d", "AvgPool2d", "Dense"]
    assert np.array_equal(network.golden.accumulators, from_torch(modules, images(), name="n").golden.accumulators)


def test_a_channel_that_is_never_above_0_may_have_any_weights():
    model = digits()
    with torch.no_grad():
        model.conv2.weight[0], model.conv2.bias[0] = 1e12, -1e20  # one channel
        model.fc1.weight[:], model.fc1.bias[:] = 1e10, -1e30  # a whole layer
    network = from_torch(model, images(), name="n")
    assert network.metadata["conversion"]["agreement"] == 1
    assert not ReferenceBackend(network).activations(images())[2][..., 0].any()


def test_a_ratio_past_the_largest_changes_no_byte():
    acc = np.array([-(2**31), -1, 0, 1, 2, 2**31 - 1], np.int32)[:, None]
    for ratio in (255.0, 32767.5, 1e30):
        assert requantise(acc, Requantisation(*fixed_point(np.array([ratio])))).ravel().tolist() == [0, 0, 0, 255, 255, 255]


class SpareBits(Twice):
    """A real network with binary layers that it does not use."""

    def __init__(self) -> None:
        super().__init__()
        self.auxiliary = BinaryLinear(3, 3)


def test_binary_layers_that_are_not_used_make_no_binary_network():
    with pytest.warns(UserWarning, match="SpareBits does not use auxiliary"):
        assert from_torch(SpareBits(), images(), name="n").metadata["conversion"]["method"] != "binary"


LARGE = {
    "kernel": (nn.Sequential(nn.Conv2d(1, 2, SIDE), nn.Flatten()), r"n does not fit .*'reference'.*: 0: the kernel \(12, 12\) is larger"),
    "inputs": (nn.Sequential(C(1, 128, 1), R(), nn.Flatten(), nn.Linear(128 * SIDE**2, 2)), "3: a window of 1 x 1 x 18432 needs 1152"),
}


@pytest.mark.parametrize("case", LARGE)
def test_what_is_too_large_for_the_accelerator_is_converted_with_a_warning(case):
    model, message = LARGE[case]
    with pytest.warns(UserWarning, match=message) as warned:
        network = from_torch(model, images(8), name="n")
    assert "\n" not in str(warned[0].message) and warned[0].filename == __file__
    assert logits(network, images(8)).shape == (8, 2)


def test_an_endless_stream_of_batches_is_read_no_further_than_needed():
    def stream():
        for _ in range(3):
            yield PICTURES
        raise AssertionError("read too far")

    assert from_torch(digits(), stream(), name="n", images=20).metadata["conversion"]["images"] == 20


def test_names_that_a_package_cannot_hold_are_changed():
    model = nn.Sequential()
    model.add_module("großes conv", nn.Conv2d(1, 2, SIDE))
    model.add_module("x" * 100, nn.Flatten())
    layers = trace(nn.Sequential(model), torch.zeros(2, 1, SIDE, SIDE)).layers
    assert [name for name, _ in layers.named_children()] == ["0_gro_es_conv"]
    assert from_torch(model, images(8), name="n").layers[0].name == "gro_es_conv"


class Squeezed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, SIDE)

    def forward(self, x):
        return self.conv(x).squeeze()


def test_one_image_is_enough_even_where_its_dimension_is_squeezed_away():
    assert from_torch(Squeezed(), images(1), name="n").metadata["conversion"]["images"] == 1


def test_a_batch_size_in_the_model_is_refused():
    class Fixed(Squeezed):
        def forward(self, x):
            return self.conv(x).view(2, 3)

    with pytest.raises(NetworkError, match="Fixed does not take a batch of any size"):
        from_torch(Fixed(), images(5), name="n")


def test_a_number_of_images_that_leaves_one_for_the_last_batch_is_told():
    class Picky(Squeezed):
        def forward(self, x):
            return torch.log_softmax(self.conv(x).squeeze(), dim=1)

    with pytest.raises(NetworkError, match="Picky does not take a batch of any size: Dimension out of range"):
        from_torch(Picky(), images(BATCH + 1), name="n")
    assert from_torch(Picky(), images(8), name="n").metadata["conversion"]["images"] == 8


def test_products_are_exact_for_comparing_and_as_before_afterwards():
    seen = []

    class Looks(Squeezed):
        def forward(self, x):
            if not isinstance(x, torch.fx.Proxy):
                seen.append((torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32))
            return self.conv(x)

    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high")
    try:
        from_torch(Looks(), images(4), name="n")
        assert seen == [("highest", False)] and torch.get_float32_matmul_precision() == "high"
        assert torch.backends.cudnn.allow_tf32 == before[1]
    finally:
        torch.set_float32_matmul_precision(before[0])


def test_it_is_loaded_on_first_use():
    with pytest.raises(AttributeError, match="no attribute 'to_torch'"):
        host_train.to_torch  # noqa: B018


class CalledOutput(nn.Module):
    """Its first layer has the name of what a network's last scales are called by."""

    def __init__(self) -> None:
        super().__init__()
        self.output, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.output(x))
        return self.fc(x.mean((2, 3)))  # here


def test_a_layer_called_output_is_not_blamed_for_the_last_ones_scale():
    """An error knows its layer; the words of its message may be names of others."""
    model = CalledOutput()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 1e-36  # the logits' unit is 0 in float32
    with pytest.raises(NetworkError, match="output.scale must be positive") as raised:
        host_train.from_torch(model, images(), name="m", min_agreement=0)
    assert str(raised.value).split(",")[0].endswith(line_of(model, "# here")) and raised.value.layer == "fc"
