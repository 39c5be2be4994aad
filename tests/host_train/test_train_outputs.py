"""Kinds of outputs, from PyTorch to integers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_models import INPUTS, PICTURES, Net, logits
from torch import nn

from host_train import from_torch
from host_train.layers.binary import BinaryConv2d, BinaryLinear
from host_train.networks.vgg_bnn import CENTRE
from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.classifier import Classifier
from pynq_cnn.errors import ArgumentError, NetworkError
from pynq_cnn.model import load_package
from pynq_cnn.model.output import probabilities

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
