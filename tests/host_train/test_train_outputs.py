"""Kinds of outputs, and every way to write a flattening: from PyTorch to integers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from host_train import from_torch
from host_train.layers.binary import BinaryConv2d, BinaryLinear
from host_train.networks.vgg_bnn import CENTRE
from host_train.tracing.trace import trace
from pynq_cnn.backends.kernel import KernelBackend
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.classifier import Classifier
from pynq_cnn.errors import ArgumentError, NetworkError
from pynq_cnn.model import AvgPool2d, Network, load_package
from pynq_cnn.model.output import probabilities

SIDE = 8
# Pictures of few pixels each, made larger: unlike noise, as photos are.
PICTURES = np.random.default_rng(0).integers(0, 256, (96, 4, 4, 1), np.uint8).repeat(2, 1).repeat(2, 2)
INPUTS = torch.from_numpy(PICTURES.reshape(-1, 1, SIDE, SIDE)) / 255  # laid out as torch does it, which `view` needs


class Net(nn.Module):
    """A convolution, a hidden layer and so many outputs, with what `end` makes of these."""

    def __init__(self, outputs: int = 1, end=lambda x: x) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            self.conv, self.fc = nn.Conv2d(1, 6, 3), nn.Linear(216, outputs)
        with torch.no_grad():  # answers of all kinds
            raw = self.fc(F.relu(self.conv(INPUTS)).flatten(1))
            self.fc.weight /= raw.std(0)[:, None] / 2
            self.fc.bias[:] = 0
            self.fc.bias -= self.fc(F.relu(self.conv(INPUTS)).flatten(1)).mean(0)
        self.end = end

    def forward(self, x):
        return self.end(self.fc(F.relu(self.conv(x)).flatten(1)))


def logits(network: Network) -> np.ndarray:
    return network.logits(ReferenceBackend(network).run(PICTURES))


SIGMOIDS = {
    "module": nn.Sigmoid(),
    "function": torch.sigmoid,
    "functional": F.sigmoid,
    "method": lambda x: x.sigmoid(),
    "squeezed": lambda x: torch.sigmoid(x).squeeze(1),
    "squeezed before": lambda x: torch.sigmoid(x.squeeze(-1)),
    "viewed": lambda x: torch.sigmoid(x).view(-1),
    "first column": lambda x: torch.sigmoid(x)[:, 0],
    "flat": lambda x: x.sigmoid().flatten(),
}


@pytest.mark.parametrize("way", SIGMOIDS)
def test_a_sigmoid_of_one_output_is_a_probability_of_two_classes(way, tmp_path):
    model = Net(1, SIGMOIDS[way])
    network = from_torch(model, PICTURES, name="n", classes=["bad", "good"], folder=tmp_path / "n")
    assert (network.output.kind, network.classes) == ("sigmoid", ("bad", "good")) and load_package(
        tmp_path / "n"
    ) == network
    with torch.no_grad():
        theirs = model(INPUTS).reshape(-1).numpy()
    ours = probabilities(logits(network), "sigmoid")[:, 1]
    assert np.abs(ours - theirs).max() < 0.05 and 0.2 < (theirs > 0.5).mean() < 0.8
    assert network.metadata["conversion"]["agreement"] > 0.95
    for backend in ("reference", "kernel"):
        with Classifier(tmp_path / "n", backend) as classifier:
            assert np.array_equal(classifier.predict(PICTURES), ours > 0.5)
            assert classifier.classify(PICTURES[0]).label == ("good" if ours[0] > 0.5 else "bad")


def test_one_logit_must_be_said_to_be_one():
    """Without a statement it may be a logit or a plain value; two names of classes are a statement."""
    for end in (lambda x: x, lambda x: x.squeeze(1)):
        with pytest.raises(
            ArgumentError,
            match=(
                "Net gives one number for each image, and nothing says what it is: state the output,"
                " 'sigmoid'.*'values'"
            ),
        ):
            from_torch(Net(1, end), PICTURES, name="n")
        assert from_torch(Net(1, end), PICTURES, name="n", classes=["no", "yes"]).output.kind == "sigmoid"
    sigmoid, plain, tag = (
        from_torch(Net(), PICTURES, name="n", method="max", output=kind)
        for kind in ("sigmoid", "values", "independent")
    )
    assert (sigmoid.classes, plain.classes, tag.classes) == (("0", "1"), ("0",), ("0",))
    assert np.array_equal(sigmoid.logits(ReferenceBackend(sigmoid).run(PICTURES)), logits(plain))
    assert sigmoid.metadata["conversion"]["agreement"] != plain.metadata["conversion"]["agreement"]
    with pytest.raises(ArgumentError, match="classes must be 2 strings, first for a probability near 0"):
        from_torch(Net(), PICTURES, name="n", output="sigmoid", classes=["cat"])


def test_several_sigmoids_are_independent():
    model = Net(4, nn.Sigmoid())
    network = from_torch(model, PICTURES, name="n", classes="abcd", min_agreement=0.8)
    assert network.output.kind == "independent"
    with torch.no_grad():
        theirs = model(INPUTS).numpy()
    assert np.abs(probabilities(logits(network), "independent") - theirs).max() < 0.05
    same = (network.answers(logits(network)) == (theirs > 0.5)).all(1).mean()
    assert network.metadata["conversion"]["agreement"] == same


def test_plain_values_are_bounded_by_their_error():
    model = Net(3)
    network = from_torch(model, PICTURES, name="n", output="values")
    with torch.no_grad():
        theirs = model(INPUTS).numpy()
    error = np.abs(logits(network) - theirs).mean(0) / theirs.std(0)
    assert (
        network.metadata["conversion"]["agreement"] == pytest.approx(1 - error.max(), abs=1e-5) and error.max() < 0.05
    )
    with pytest.raises(
        NetworkError,
        match=r"its values are off by .* % of their standard deviation in the mean on the 96 calibration images",
    ):
        from_torch(model, PICTURES, name="n", output="values", min_agreement=1)


@pytest.mark.parametrize("end", [nn.Softmax(1), nn.LogSoftmax(1), lambda x: F.softmax(x, 1), lambda x: x])
def test_classes_by_softmax(end):
    assert from_torch(Net(3, end), PICTURES, name="n", min_agreement=0).output.kind == "softmax"
    assert from_torch(Net(3, end), PICTURES, name="n", output="softmax", min_agreement=0).output.kind == "softmax"


CONTRADICTIONS = [
    (1, nn.Sigmoid(), "softmax", "gives one number for each image behind a Sigmoid: state 'sigmoid' or 'independent'$"),
    (1, nn.Sigmoid(), "values", "behind a Sigmoid"),
    (1, nn.Identity(), "softmax", "state 'sigmoid' or 'independent' or 'values'$"),
    (3, nn.Identity(), "sigmoid", "gives 3 numbers for each image: state 'softmax' or 'independent' or 'values'$"),
    (3, nn.Sigmoid(), "sigmoid", "state 'independent'$"),
    (3, nn.Sigmoid(), "softmax", "gives 3 numbers for each image behind a Sigmoid: state 'independent'$"),
    (3, nn.Softmax(1), "independent", "behind a Softmax: state 'softmax'$"),
    (3, nn.LogSoftmax(1), "values", "behind a LogSoftmax: state 'softmax'$"),
]


@pytest.mark.parametrize(("outputs", "end", "stated", "message"), CONTRADICTIONS)
def test_a_statement_that_contradicts_the_model_is_refused(outputs, end, stated, message):
    with pytest.raises(ArgumentError, match=f"the output '{stated}' contradicts Net, which .*{message}"):
        from_torch(Net(outputs, end), PICTURES, name="n", output=stated)


def test_what_cannot_be_said():
    with pytest.raises(
        ArgumentError, match="output must be one of softmax, sigmoid, independent, values, not 'logits'"
    ):
        from_torch(Net(), PICTURES, name="n", output="logits")
    with pytest.raises(NetworkError, match="ends with a softmax over one number, which is always 1"):
        from_torch(Net(1, nn.Softmax(1)), PICTURES, name="n")
    for end, advice in (
        (lambda x: F.logsigmoid(x), "remove it, and give from_torch output='sigmoid'"),
        (lambda x: x.argmax(1), "remove it: Classifier.predict chooses the class"),
        (lambda x: torch.tanh(x), "remove it, say output 'values', and apply it to what Classifier.predict gives"),
        (nn.Tanh(), "remove it, say output 'values'"),
        (lambda x: torch.sigmoid(x).round(), "remove it: Classifier.predict chooses the class"),
    ):
        with pytest.raises(NetworkError, match=advice):
            from_torch(Net(3, end), PICTURES, name="n")


@pytest.mark.parametrize("kind", ["sigmoid", "values"])
def test_bits_have_every_kind_of_output(kind):
    layers = (
        BinaryConv2d(1, 16, 3, input_step=1 / 128),
        nn.BatchNorm2d(16),
        nn.Hardtanh(),
        nn.Flatten(),
        BinaryLinear(576, 1),
    )
    model = nn.Sequential(*layers, *([nn.Sigmoid()] if kind == "sigmoid" else [])).eval()
    network = from_torch(model, PICTURES, name="n", mean=CENTRE, std=CENTRE, output=kind)
    assert network.output.kind == kind and network.metadata["conversion"]["agreement"] > 1 - 1e-5
    with torch.no_grad():
        theirs = model((INPUTS - CENTRE) / CENTRE).numpy()
    ours = logits(network) if kind == "values" else probabilities(logits(network), kind)[:, 1:]
    assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max()


# ------------------------------------------------------------------------------------------ whatever flattens


class Shaped(nn.Module):
    """Two convolutions, the second down to so many pixels, and a linear layer behind `flatten`."""

    def __init__(self, flatten, kernel: int = 6, inputs: int = 4, last: bool = True) -> None:
        super().__init__()
        self.conv, self.conv2, self.fc, self.flatten = (
            nn.Conv2d(1, 4, 3),
            nn.Conv2d(4, 4, kernel),
            nn.Linear(inputs, 3),
            flatten,
        )
        self.last = last

    def forward(self, x):
        x = self.flatten(F.relu(self.conv2(F.relu(self.conv(x)))))
        return self.fc(x) if self.last else x


ONE_PIXEL = {
    "indices": lambda x: x[:, :, 0, 0],
    "indices and dots": lambda x: x[..., 0, 0],
    "one after the other": lambda x: x[..., 0][:, :, 0],
    "negative index": lambda x: x[:, :, -1, -1],
    "squeezes": lambda x: x.squeeze(-1).squeeze(-1),
    "other squeezes": lambda x: torch.squeeze(torch.squeeze(x, 3), 2),
    "both at once": lambda x: x.squeeze((2, 3)),
    "select": lambda x: x.select(3, 0).select(2, 0),
    "torch.select": lambda x: torch.select(x, 3, 0).flatten(1),
    "mean": lambda x: x.mean([2, 3]),
    "mean of mean": lambda x: x.mean(3).mean(2),
    "pooled": lambda x: F.adaptive_avg_pool2d(x, 1)[:, :, 0, 0],
    "pooled by one pixel": lambda x: F.avg_pool2d(x, 1).squeeze(),
    "unsqueezed": lambda x: x.flatten(1).unsqueeze(1).squeeze(1),
}
SEVERAL = {
    "twice": lambda x: x.flatten(2).flatten(1),
    "rows first": lambda x: x.view(x.size(0), x.size(1), -1).view(x.size(0), -1),
    "halves": lambda x: x.reshape(x.shape[0], 2, -1).flatten(1),
    "all at once": lambda x: x[:].view(-1, 36),
    "channels split": lambda x: x.unflatten(1, (2, 2)).flatten(1),
    "with a dropout between": lambda x: F.dropout(x.flatten(2), 0.5, training=False).flatten(1),
    "there and back": lambda x: F.max_pool2d(x.flatten(1).view(x.shape), 1).flatten(1),
}
MEANS = {
    "of pixels in a row": lambda x: x.flatten(2).mean(2),
    "of a view": lambda x: x.view(x.size(0), x.size(1), -1).mean(-1),
    "kept": lambda x: x.flatten(2).mean(-1, keepdim=True).flatten(1),
    "side by side": lambda x: x.mean(-1).mean(-1),
    "of rows, then columns": lambda x: x.mean(2).mean(2),
    "both, kept": lambda x: torch.mean(x, (2, 3), keepdim=True).squeeze(-1).squeeze(-1),
}
WAYS = {
    **{f"one pixel, {name}": (way, 6, 4) for name, way in ONE_PIXEL.items()},
    **{f"several, {name}": (way, 4, 36) for name, way in SEVERAL.items()},
    **{f"mean, {name}": (way, 4, 4) for name, way in MEANS.items()},
}


def close(model: nn.Module, network: Network) -> None:
    with torch.no_grad():
        theirs = model.eval()(INPUTS).reshape(len(INPUTS), -1).numpy()
    assert np.abs(logits(network) - theirs).mean() < 0.03 * np.ptp(theirs)
    assert np.array_equal(KernelBackend(network).run(PICTURES), ReferenceBackend(network).run(PICTURES))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("ignore:the model gives the same answer")
def test_whatever_flattens_is_taken(way):
    flatten, kernel, inputs = WAYS[way]
    torch.manual_seed(3)
    model = Shaped(flatten, kernel, inputs)
    close(model, from_torch(model, PICTURES, name="n", min_agreement=0))


@pytest.mark.parametrize("way", ONE_PIXEL)
def test_logits_of_one_pixel_are_taken_however_that_is_dropped(way):
    torch.manual_seed(3)
    head = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 6))

    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = head

        def forward(self, x):
            return ONE_PIXEL[way](self.head(x))

    network = from_torch(Last(), PICTURES, name="n", min_agreement=0)
    assert [layer.name for layer in network.layers] == ["head_0", "head_2"]
    close(Last(), network)


POOLED = [
    lambda: [nn.AdaptiveAvgPool2d(1), nn.Flatten()],
    lambda: [nn.AdaptiveAvgPool2d((1, 1))],
    lambda: [nn.AvgPool2d(1), nn.Flatten()],
    lambda: [nn.Flatten(), nn.Unflatten(1, (4, 1, 1)), nn.AdaptiveAvgPool2d(1)],
]


@pytest.mark.parametrize("ending", range(len(POOLED)))
@pytest.mark.filterwarnings("ignore:the model gives the same answer")
def test_global_pooling_of_one_pixel_may_be_the_last_layer(ending):
    """There a network may end with a ReLU: the pooling gives the logits."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 8), nn.ReLU(), *POOLED[ending]())
    network = from_torch(model, PICTURES, name="n", min_agreement=0)
    assert isinstance(network.layers[-1], AvgPool2d) and network.layers[-1].size == (1, 1)
    close(model, network)
    pooled = nn.Sequential(nn.Conv2d(1, 4, 7), nn.ReLU(), nn.MaxPool2d(2), *POOLED[ending]())
    close(pooled, from_torch(pooled, PICTURES, name="n", min_agreement=0))


def test_pooling_of_one_pixel_elsewhere_is_no_layer():
    for layers in (
        [nn.Conv2d(1, 4, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten()],
        [nn.Conv2d(1, 4, 8), nn.AvgPool2d(1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)],
    ):
        kinds = [
            type(layer).__name__
            for layer in from_torch(nn.Sequential(*layers), PICTURES, name="n", min_agreement=0).layers
        ]
        assert "AvgPool2d" not in kinds


REFUSED = {
    "a part": (lambda x: x[:, :, 0, 0], r"taking \(2, 4\) of \(2, 4, 3, 3\) cannot be mapped; use all of it"),
    "a channel": (lambda x: x[:, :1].flatten(1), r"taking \(2, 1, 3, 3\) of"),
    "a part by select": (lambda x: x.select(3, 1).flatten(1), r"taking \(2, 4, 3\) of"),
    "another order": (lambda x: x[:, [3, 1, 2, 0]].flatten(1), "an index of several places cannot be mapped"),
    "rows together": (
        lambda x: F.relu(x.flatten(2)).flatten(1),
        r"making \(2, 4, 9\) of \(2, 4, 3, 3\) cannot be mapped",
    ),
    "channels together": (lambda x: F.relu(x.reshape(x.size(0), 2, 2, 9)).flatten(1), r"making \(2, 2, 2, 9\) of"),
    "images together": (lambda x: x.reshape(1, -1), "making"),
    "mean of channels": (lambda x: x.mean(1).flatten(1), "a mean over dimensions 1 of"),
    "mean of other rows": (
        lambda x: x.reshape(x.size(0), 9, 4).mean(2),
        r"making \(2, 9, 4, 1\) of|making \(2, 9, 4\) of",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_flatten_is_refused(case):
    flatten, message = REFUSED[case]
    with pytest.raises(NetworkError, match=message) as raised:
        from_torch(Shaped(flatten, 4, 36, last=False), PICTURES, name="n")
    assert "test_train_outputs.py:" in str(raised.value) and "\n" not in str(raised.value)


def test_a_shape_that_the_logits_are_given_is_refused():
    with pytest.raises(NetworkError, match=r"making \(2, 2, 3\) of \(2, 6\) cannot be mapped"):
        from_torch(Net(6, lambda x: x.view(-1, 2, 3)), PICTURES, name="n", output="values")
    assert len(trace(Net(6, lambda x: x.view(-1, 6, 1)), INPUTS[:2]).layers) == 4


# ------------------------------------------------------------------------------------------- calibration tensors


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x.to_sparse(),
        lambda x: [batch.to_sparse() for batch in x.split(20)],
        lambda x: torch.quantize_per_tensor(x, 1 / 255, 0, torch.quint8),
        lambda x: x.to_mkldnn(),
        lambda x: x.clone().requires_grad_(),
        lambda x: x.to(memory_format=torch.channels_last),
        lambda x: x.double().numpy().astype(">f8"),
    ],
    ids=["sparse", "sparse batches", "quantised", "mkldnn", "with gradients", "channels last", "big-endian"],
)
def test_images_in_any_layout_are_the_same_images(make):
    model = Net(3)
    expected = from_torch(model, PICTURES, name="n", min_agreement=0)
    assert from_torch(model, make(INPUTS), name="n", min_agreement=0).layers == expected.layers


# ---------------------------------------------------------------------------------------- any chain of shapes


@st.composite
def reshapes(draw: st.DrawFn) -> list:
    """Functions that give an image [n, 4, 2, 3] other shapes, one behind the other, each written in one of several
    ways.
    """
    shape, steps = [4, 2, 3], []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["view", "flatten", "unsqueeze", "squeeze", "index", "split"]))
        if kind == "view":
            sides = list(draw(st.permutations(shape)))  # of the same numbers, another shape
            steps.append(lambda x, sides=tuple(sides): x.reshape(x.size(0), *sides))
            shape = sides
        elif kind == "flatten":
            start = draw(st.integers(0, len(shape) - 1))
            steps.append(lambda x, start=start + 1: x.flatten(start))
            shape = [*shape[:start], int(np.prod(shape[start:]))]
        elif kind == "unsqueeze":
            place = draw(st.integers(1, len(shape)))
            way = draw(st.booleans())
            steps.append(
                lambda x, place=place, way=way: x.unsqueeze(place) if way else x[(slice(None),) * place + (None,)]
            )
            shape = [*shape[: place - 1], 1, *shape[place - 1 :]]
        elif kind == "split" and shape[0] % 2 == 0:
            steps.append(lambda x: x.unflatten(1, (2, x.shape[1] // 2)))
            shape = [2, shape[0] // 2, *shape[1:]]
        elif 1 in shape and len(shape) > 1:
            place = shape.index(1) + 1
            steps.append(
                (lambda x, place=place: x.squeeze(place))
                if kind == "squeeze"
                else (lambda x, place=place: x[(slice(None),) * place + (0,)])
            )
            shape = [*shape[: place - 1], *shape[place:]]
    return steps


class Chain(nn.Module):
    def __init__(self, steps: list) -> None:
        super().__init__()
        self.conv, self.fc, self.steps = nn.Conv2d(1, 4, (7, 6)), nn.Linear(24, 3), steps

    def forward(self, x):
        x = F.relu(self.conv(x))
        for step in self.steps:
            x = step(x)
        return self.fc(x.flatten(1))


@settings(max_examples=60, deadline=None)
@given(reshapes())
def test_any_chain_of_shapes_that_ends_flat_is_a_flattening(steps):
    model = Chain(steps)
    traced = trace(model, INPUTS[:2])
    assert [type(layer).__name__ for layer in traced.layers] == ["Conv2d", "ReLU", "Flatten", "Linear"]
    with torch.no_grad():
        assert torch.equal(traced.layers(INPUTS), model(INPUTS))
