"""Arguments of from_torch that cannot be used."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from own_models import IGNORE_NOISE, SIDE, Digits, digits, images, tensor
from torch import nn

from host_train import from_torch
from pynq_cnn.errors import ArgumentError, ModelPackageError, NetworkError
from pynq_cnn.model import InputSpec

pytestmark = IGNORE_NOISE


PICTURES = tensor(images(8))
UNUSABLE = {
    "no model": (lambda: from_torch(Digits, images(8), name="n"), ArgumentError, "give an object of it"),
    "method": (
        lambda: from_torch(digits(), images(8), name="n", method="median"),
        ArgumentError,
        "auto, max, percentile, mse",
    ),
    "count": (
        lambda: from_torch(digits(), images(8), name="n", images=0),
        ArgumentError,
        "images must be an integer from 1, not 0",
    ),
    "double model": (
        lambda: from_torch(digits().double(), images(8), name="n"),
        NetworkError,
        "conv1.weight is torch.float64.*float",
    ),
    "half model": (lambda: from_torch(digits().bfloat16(), images(8), name="n"), NetworkError, "torch.bfloat16"),
    "NaN in the model": (
        lambda: from_torch(broken(), images(8), name="n"),
        NetworkError,
        "NaN or infinity on the calibration images",
    ),
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
    "single images": (
        lambda: from_torch(digits(), list(PICTURES), name="n"),
        ArgumentError,
        "make batches with a DataLoader",
    ),
    "labels": (
        lambda: from_torch(digits(), torch.zeros(8, dtype=torch.int64), name="n"),
        ArgumentError,
        "not torch.int64",
    ),
    "objects": (lambda: from_torch(digits(), np.array([None]), name="n"), ArgumentError, "not object"),
    "a numpy number": (lambda: from_torch(digits(), np.array(3.0), name="n"), ArgumentError, "a single number"),
    "mean of colours": (
        lambda: from_torch(digits(), images(8, 3), name="n", mean=[1, 2]),
        ArgumentError,
        "or 3, one per channel, not",
    ),
    "channels": (lambda: from_torch(digits(), torch.zeros(8, 5, 5, 5), name="n"), ArgumentError, "1 to 4 channels"),
    "other sizes": (
        lambda: from_torch(digits(), [torch.zeros(1, 1, 12, 12), torch.zeros(1, 1, 9, 12)], name="n"),
        ArgumentError,
        r"must be \(1, 12, 12\).*not \(1, 9, 12\)",
    ),
    "NaN": (
        lambda: from_torch(digits(), torch.full((2, 1, 12, 12), float("nan")), name="n"),
        ArgumentError,
        "NaN or infinity",
    ),
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
    "mean in words": (
        lambda: from_torch(digits(), images(8), name="n", mean="abc"),
        ArgumentError,
        "mean must be one number, not 'abc'",
    ),
    "mean as a dict": (
        lambda: from_torch(digits(), images(8), name="n", mean={}),
        ArgumentError,
        "mean must be one number",
    ),
    "std as a table": (
        lambda: from_torch(digits(), images(8), name="n", std=[[1.0]]),
        ArgumentError,
        "std must be one number",
    ),
    "number of classes": (
        lambda: from_torch(digits(), images(8), name="n", classes=5),
        ArgumentError,
        "classes must be strings, one for each output.*not 5",
    ),
    "set of classes": (
        lambda: from_torch(digits(), images(8), name="n", classes=set("abc")),
        ArgumentError,
        "in their order",
    ),
    "metadata": (
        lambda: from_torch(digits(), images(8), name="n", metadata=[1]),
        ArgumentError,
        r"metadata must be a dict.*\[1\]",
    ),
    "spec": (
        lambda: from_torch(digits(), images(8), name="n", spec="mnist"),
        ArgumentError,
        "spec must be a .*InputSpec, not 'mnist'",
    ),
    "folder by number": (
        lambda: from_torch(digits(), images(8), name="n", folder=5),
        ArgumentError,
        "folder must be a path, not 5",
    ),
    "lazy layers": (
        lambda: from_torch(nn.Sequential(nn.Flatten(), nn.LazyLinear(3)), images(8), name="n"),
        NetworkError,
        "1.weight has no shape yet; load the weights, or run the model once",
    ),
    "meta device": (
        lambda: from_torch(digits().to("meta"), images(8), name="n"),
        NetworkError,
        "conv1.weight is on the meta device",
    ),
    "std": (lambda: from_torch(digits(), images(8), name="n", std=0), NetworkError, "positive"),
    "classes": (
        lambda: from_torch(digits(), images(8), name="n", classes=["a"]),
        ArgumentError,
        "classes must be 3 strings",
    ),
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
