"""The first operation that cannot be mapped is refused, with its line."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from own_models import IGNORE_NOISE, SIDE, Base, images, line_of
from torch import nn

import host_train
from host_train import from_torch
from host_train.layers.binary import BinaryConv2d, BinaryLinear
from host_train.networks.vgg_bnn import CENTRE
from pynq_cnn.errors import NetworkError

pytestmark = IGNORE_NOISE


class Branch(Base):
    def forward(self, x):
        a = F.relu(self.conv(x))
        b = F.relu(self.more(a))
        a = self.grouped(a)
        return self.fc((a * b).flatten(1))  # here


class Condition(Base):
    def forward(self, x):
        x = F.relu(self.conv(x))
        if x.sum() > 0:  # here
            x = self.more(x)
        return self.fc(x.flatten(1))


class Sigmoid(Base):
    def forward(self, x):
        x = torch.sigmoid(self.conv(x))  # here
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
        x = x.mean(1)  # here
        return self.fc(x.repeat(1, 4, 1).flatten(1))


class AlwaysDropout(Base):
    def forward(self, x):
        x = F.dropout(F.relu(self.conv(x)), 0.3)  # here
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
    Branch: "mul: a product of two tensors, such as a gate.*remove the gate",
    Condition: "cannot be traced.*control flow.*remove conditions",
    Sigmoid: "sigmoid: a sigmoid can only be the last operation; use ReLU between layers and train it again",
    Indices: "cannot be mapped; use max pooling without return_indices",
    Uneven: r"of \(12, 12\) to \(5, 5\) has windows of different sizes",
    WrongMean: r"a mean over dimensions 1 of \(2, 4, 12, 12\)",
    AlwaysDropout: "training=self.training",
    OtherNorm: "LocalResponseNorm cannot be mapped; use BatchNorm2d",
    Softmax: "a softmax can only be the last",
    Misfit: "fc fails on the calibration images: mat1 and mat2 shapes cannot be multiplied",
    MisfitLater: "tanh: it cannot be mapped",
    PaddedByMore: r"c1 has padding=\(5, 5\), which must be smaller than the kernel \(3, 3\); use less",
    LongStride: r"c1.stride must be 2 integer\(s\) from 1 to 255, not \(300, 300\)",
    Pixels: (
        r"more is the last layer and gives 12 x 12 pixels.*put nn.AdaptiveAvgPool2d\(1\), or nn.Flatten and nn.Linear,"
        r" behind it"
    ),
    Unflattened: r"fc: it takes \[n, features\], not \(2, 4, 12, 12\); flatten each image",
    SoftmaxBeforeOthers: "a softmax can only be the last",
    BitsAndNoStatistics: "norm keeps no running statistics; train it with track_running_stats=True",
    BitsFullyConnected: "last is a BinaryLinear over bytes.*use one whose kernel is the whole image",
    BitsOpenEnd: "first: a binary network must end with a BinaryLinear",
    EndsWithReLU: "relu_1: the network must end with.*not with relu_1; remove it",
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
    "no counterpart": (
        [C(1, 2, 3), nn.Sigmoid(), C(2, 2, 3), nn.Flatten(), nn.Linear(128, 2)],
        "1: a sigmoid can only be the last operation",
    ),
    "option, then no counterpart": (
        [C(1, 2, 3), R(), C(2, 2, 3, padding=4), nn.Tanh()],
        "2 has padding",
    ),
    "wrapped": ([nn.DataParallel(C(1, 2, 12))], "give from_torch the model inside it: model.module"),
}


@pytest.mark.parametrize("case", SEQUENCES)
def test_the_first_layer_that_cannot_be_mapped_is_named_in_a_sequence(case):
    layers, message = SEQUENCES[case]
    with pytest.raises(NetworkError, match=message) as raised:
        from_torch(nn.Sequential(*layers), images(8), name="n")
    assert "\n" not in str(raised.value)


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
