"""Networks: shapes chain, the last layer gives int32, logits are one float32 expression."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import networks, random_images

from pynq_cnn.errors import ArgumentError, NetworkError
from pynq_cnn.model import Conv2d, Dense, InputSpec, MaxPool2d, Network, OutputSpec, Requantisation
from pynq_cnn.model.output import sigmoid

RQ = Requantisation(np.ones(4, np.uint16), np.ones(4, np.uint8))
CONV = Conv2d("conv", np.ones((4, 3, 3, 1), np.int8), np.zeros(4, np.int32), requantisation=RQ)
POOL = MaxPool2d("pool", 2, 2)
FC = Dense("fc", np.ones((3, 36), np.int8), np.zeros(3, np.int32))
SPEC = InputSpec(8, 8, 1, "L", (0.5,), (0.5,))
OUT = OutputSpec(np.ones(3, np.float32), np.zeros(3, np.float32))
NETWORK = Network("n", SPEC, (CONV, POOL, FC), OUT, ("a", "b", "c"))


def test_shapes_and_macs():
    assert [node.gives.shape for node in NETWORK.nodes] == [(6, 6, 4), (3, 3, 4), (1, 1, 3)]
    assert [node.macs for node in NETWORK.nodes] == [6 * 6 * 4 * 9, 0, 108]
    assert [node.inputs for node in NETWORK.nodes] == [("input",), ("conv",), ("pool",)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": ()}, "at least one"),
        ({"layers": (CONV, "pool", FC)}, "str"),
        ({"layers": (CONV, FC)}, "fc takes 36 inputs"),
        ({"layers": (CONV, POOL)}, "must give int32"),
        ({"layers": (CONV, POOL, replace(FC, requantisation=None), FC)}, "unique"),
        ({"layers": (replace(CONV, requantisation=None), POOL, FC)}, "conv gives int32, but only the last layer"),
        ({"layers": (replace(CONV, requantisation=None),)}, "1 x 1 image"),
        ({"layers": (replace(CONV, inputs=("pool",)), POOL, FC)}, "conv takes 'pool', and no layer before it"),
        ({"layers": (CONV, replace(CONV, name="d", inputs=("input",)), POOL, FC)}, "no layer takes what conv gives"),
        ({"layers": (CONV, POOL, replace(FC, inputs=("pool", "conv")))}, "fc takes 1 input"),
        ({"layers": (CONV, MaxPool2d("p", 7, 1), FC)}, r"window \(7, 7\) is larger"),
        ({"classes": ("a", "b")}, "classes must be 3"),
        ({"classes": (1, 2, 3)}, r"classes\[0\] must be a text .* not 1"),
        ({"output": OutputSpec(np.ones(2, np.float32), np.zeros(2, np.float32))}, "output.scale"),
        ({"name": ""}, "name"),
        ({"metadata": None}, "metadata"),
    ],
)
def test_refuses(change, message):
    with pytest.raises(NetworkError, match=message):
        replace(NETWORK, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"height": 0}, "height"),
        ({"width": 65536}, "width"),
        ({"channels": 3}, "channels"),
        ({"color": "CMYK"}, "CMYK"),
        ({"mean": (float("nan"),)}, "mean"),
        ({"std": (0.0,)}, "std"),
        ({"fit": "guess"}, "guess"),
        ({"invert": True}, "invert"),
    ],
)
def test_input_refuses(change, message):
    with pytest.raises(NetworkError, match=message):
        replace(SPEC, **change)


@pytest.mark.parametrize("scale", [np.array([1, np.nan, 1]), np.array([1, 0, 1]), np.array([1, np.inf, 1])])
def test_output_scale_must_be_finite_and_positive(scale):
    with pytest.raises(NetworkError, match="output.scale"):
        OutputSpec(scale.astype(np.float32), np.zeros(3, np.float32))


ONE = {"layers": (CONV, POOL, replace(FC, weight=np.ones((1, 36), np.int8), bias=np.zeros(1, np.int32)))}


def output(kind, count=1):
    return OutputSpec(np.ones(count, np.float32), np.zeros(count, np.float32), kind)


def test_one_output_says_what_it_is():
    """As classes by softmax, one output would be class 0 at probability 1 for every image."""
    with pytest.raises(
        NetworkError, match="'softmax' needs two outputs at least.*say 'sigmoid' .one logit, two classes"
    ):
        output("softmax")
    with pytest.raises(NetworkError, match="is of one logit, not of 2; say 'independent'"):
        output("sigmoid", 2)
    with pytest.raises(
        NetworkError, match="output.kind must be one of softmax, sigmoid, independent, values, not 'logits'"
    ):
        output("logits")
    network = replace(NETWORK, **ONE, output=output("sigmoid"), classes=("no", "yes"))
    for count in (1, 3):
        with pytest.raises(NetworkError, match="classes must be 2 strings, for a probability near 0 and near 1, not"):
            replace(network, classes=tuple("abc"[:count]))
    logits = network.logits(np.array([[-5], [0], [7]], np.int32))
    assert network.answers(logits).tolist() == [0, 0, 1] and network.answers(logits).dtype == np.int64


@pytest.mark.parametrize("count", [1, 3])
def test_answers_of_several_outputs(count):
    layers = NETWORK.layers if count == 3 else ONE["layers"]
    logits = np.array([[-1, 0, 2], [3, 3, 1]], np.float32)[:, :count]
    independent = replace(NETWORK, layers=layers, output=output("independent", count), classes=tuple("abc"[:count]))
    assert independent.answers(logits).tolist() == (logits > 0).tolist() and independent.answers(logits).dtype == bool
    values = replace(independent, output=output("values", count))
    assert values.answers(logits) is logits
    if count == 3:
        assert NETWORK.answers(logits).tolist() == [2, 0]


@pytest.mark.parametrize(
    ("kind", "count", "said"),
    [
        ("softmax", 3, "3 classes,"),
        ("sigmoid", 1, "2 classes by one sigmoid,"),
        ("independent", 3, "3 independent p"),
        ("values", 1, "1 plain v"),
    ],
)
def test_it_says_what_its_outputs_are(kind, count, said):
    layers = NETWORK.layers if count == 3 else ONE["layers"]
    network = replace(
        NETWORK, layers=layers, output=output(kind, count), classes=tuple("ab" if kind == "sigmoid" else "abc"[:count])
    )
    assert f"8 x 8 L to {said}" in repr(network)


def test_sigmoid_of_any_logits():
    logits = np.array([-3e38, -800, -1e-45, 0, 37, 3e38], np.float32)
    with np.errstate(all="raise", under="ignore"):
        chances = sigmoid(logits)
    assert (np.diff(chances) >= 0).all() and chances[[0, 3, 5]].tolist() == [0, 0.5, 1] and chances.dtype == np.float64
    assert sigmoid(np.float32(2.0)) == 1 / (1 + np.exp(-2.0))


def test_logits_are_float32_of_the_accumulators():
    net = replace(NETWORK, output=OutputSpec(np.array([0.1, 1, 2], np.float32), np.array([0, 1, 0.5], np.float32)))
    logits = net.logits(np.array([[2**24 + 1, -3, 7]], np.int32))
    assert logits.dtype == np.float32
    assert logits.tolist() == [[float(np.float32(np.float32(2**24) * np.float32(0.1))), -2.0, 14.5]]
    with pytest.raises(ArgumentError, match="int32"):
        net.logits(np.zeros((1, 3), np.int64))


@settings(max_examples=25)
@given(networks(), st.integers(1, 3))
def test_check_images_passes_only_what_fits(network, n):
    images = random_images(network, n, 0)
    assert network.check_images(images) is images
    for wrong in (images[0], images.astype(np.float32), images[:, :, :, [0] * 7], images.tolist()):
        with pytest.raises(ArgumentError, match="random takes images"):
            network.check_images(wrong)


def test_names_are_not_compared_each_with_each():
    """A count of each name among all of them made 60,000 layers take over a minute."""

    class Name(str):
        compared = 0

        def __eq__(self, other):
            Name.compared += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    pools = [MaxPool2d(Name(f"p{i}"), 1, 1) for i in range(1000)]
    network = replace(NETWORK, layers=(CONV, *pools, POOL, FC))
    assert all(type(layer.name) is Name for layer in network.layers[1:1001])
    assert Name.compared < 20 * len(pools)


@pytest.mark.once
def test_sixty_thousand_layers():
    """Nothing takes time or memory with the square of their number, and nothing calls itself for each."""
    pools = tuple(MaxPool2d(f"p{i}", 1, 1) for i in range(60_000))
    network = replace(NETWORK, layers=(CONV, *pools, POOL, FC))
    assert len(network.nodes) == 60_003
    with pytest.raises(NetworkError, match=r"layer names must be unique, \['p7'\] repeat"):
        replace(network, layers=(CONV, *pools, pools[7], POOL, FC))


def test_it_prints_short():
    assert repr(NETWORK) == "<Network 'n': 8 x 8 L to 3 classes, 3 layers, 144 weights>"
    assert [line.split()[0] for line in str(NETWORK).splitlines()] == ["<Network", "layer", "conv", "pool", "fc"]
    html = replace(NETWORK, name="<b>")._repr_html_()
    assert "&lt;b&gt;" in html and "<b>" not in html and html.count("<tr>") == 4
    wide = replace(NETWORK, layers=(CONV, POOL, FC), metadata={"recipe": "x" * 1000})
    for value in (wide, *wide.layers, wide.output, wide.input):
        assert len(repr(value)) < 250
    assert (
        repr(CONV) == "Conv2d(name='conv', weight=int8[4, 3, 3, 1], bias=int32[4],"
        " requantisation=Requantisation(multiplier=uint16[4], shift=uint8[4]))"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": 3}, "layers must be a list"),
        ({"layers": "conv"}, "layers must be a list"),
        ({"classes": "abc"}, "classes must be a list"),
        ({"classes": ("a", "b", "a")}, "class names must be unique"),
        ({"input": (8, 8, 1)}, "input must be an InputSpec"),
        ({"output": None}, "output must be an OutputSpec"),
        ({"golden": (1, 2)}, "golden must be a Golden or None"),
        ({"name": 10**5000}, "network's name .* not a int"),
    ],
    ids=range(8),
)
def test_arguments_of_another_kind(change, message):
    with pytest.raises(NetworkError, match=message):
        replace(NETWORK, **change)


def test_numbers_of_thousands_of_digits_are_refused_as_others_are():
    for make in (
        lambda: MaxPool2d("p", 10**5000, 1),
        lambda: replace(SPEC, height=10**5000),
        lambda: replace(SPEC, mean=(10**5000,)),
    ):
        with pytest.raises(NetworkError):
            make()


def test_masked_weights_are_refused():
    """Their mask would be lost, and what it hides be computed with."""
    with pytest.raises(NetworkError, match=r"fc.weight must be a NumPy array, not MaskedArray"):
        replace(FC, weight=np.ma.masked_equal(FC.weight, 1))
