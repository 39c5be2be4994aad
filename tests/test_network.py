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

RQ = Requantisation(np.ones(4, np.uint16), np.ones(4, np.uint8))
CONV = Conv2d("conv", np.ones((4, 3, 3, 1), np.int8), np.zeros(4, np.int32), requantisation=RQ)
POOL = MaxPool2d("pool", 2, 2)
FC = Dense("fc", np.ones((3, 36), np.int8), np.zeros(3, np.int32))
SPEC = InputSpec(8, 8, 1, "L", (0.5,), (0.5,))
OUT = OutputSpec(np.ones(3, np.float32), np.zeros(3, np.float32))
NETWORK = Network("n", SPEC, (CONV, POOL, FC), OUT, ("a", "b", "c"))


def test_shapes_and_macs():
    assert NETWORK.shapes() == [(6, 6, 4), (3, 3, 4), (1, 1, 3)]
    assert NETWORK.macs() == [6 * 6 * 4 * 9, 0, 108]


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
        (
            {"layers": (CONV, replace(CONV, name="d", weight=np.ones((4, 3, 3, 4), np.int8), pad_value=np.zeros(4, np.uint8)), FC)},
            "d.pad_value",
        ),
        ({"layers": (CONV, MaxPool2d("p", 7, 1), FC)}, r"window \(7, 7\) is larger"),
        ({"classes": ("a", "b")}, "classes must be 3"),
        ({"classes": (1, 2, 3)}, "classes must be 3"),
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
    for wrong in (images[0], images.astype(np.float32), images[:, :, :, [0, 0]], images.tolist()):
        with pytest.raises(ArgumentError, match="random takes images"):
            network.check_images(wrong)
