"""Objects that people bring in the place of a model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from families import LeNet, family, smooth_images
from torch import nn

from host_train import from_torch
from pynq_cnn.errors import ArgumentError, NetworkError

IMAGES = smooth_images(24)
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*(torch.jit|torch.ao|is deprecated|reduce_range|overflow)"),
    pytest.mark.filterwarnings("ignore:the model gives the same answer for all"),
]


def quantisable() -> nn.Module:
    stubs = torch.ao.quantization.QuantStub(), torch.ao.quantization.DeQuantStub()
    return nn.Sequential(stubs[0], nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3600, 5), stubs[1]).eval()


def prepared() -> nn.Module:
    model = quantisable()
    model.qconfig = torch.ao.quantization.get_default_qconfig("x86")
    made = torch.ao.quantization.prepare(model)
    made(IMAGES)
    return made


def test_models_within_others_are_taken():
    model = family("lenet")
    expected = from_torch(model, IMAGES, name="n")
    for around in (nn.DataParallel(model), nn.DataParallel(nn.DataParallel(model))):
        found = from_torch(around, IMAGES, name="n")
        assert found == expected
    assert from_torch(quantisable(), IMAGES, name="n").layers  # stubs alone change nothing


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: torch.jit.trace(family("lenet"), IMAGES[:1]),
            "this is TorchScript, whose layers cannot be seen",
        ),
        (lambda: torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 32), nn.Flatten())), "this is TorchScript"),
        (
            lambda: nn.Sequential(torch.jit.script(nn.Conv2d(3, 4, 3)), nn.ReLU(), nn.Flatten(), nn.Linear(3600, 5)),
            "0: this is TorchScript",
        ),
        (
            lambda: torch.ao.quantization.quantize_dynamic(family("lenet"), {nn.Linear}, torch.qint8),
            r"fc1: a Linear of torch.ao.nn.quantized.dynamic.* is in integers already; give from_torch the model",
        ),
        (
            lambda: torch.ao.quantization.convert(prepared()),
            r"0: a Quantize of torch.ao.nn.quantized.* is in integers already",
        ),
        (prepared, r"0.activation_post_process: a HistogramObserver prepares the model for PyTorch's own integers"),
    ],
    ids=["traced", "scripted", "a part", "dynamic", "static", "prepared"],
)
def test_what_cannot_be_taken_is_refused_with_the_way_to_go(make, message):
    with pytest.raises(NetworkError, match=message):
        from_torch(make(), IMAGES, name="n")


@pytest.mark.parametrize(
    ("brought", "message"),
    [
        (LeNet().state_dict(), r"not a state_dict; make the model and load it: model.load_state_dict"),
        ("model.pt", "not the path 'model.pt'; make the model and load it"),
        (Path("model.onnx"), "not the path 'model.onnx'; from_onnx takes ONNX files"),
        (LeNet, r"not the class LeNet; give an object of it: LeNet\(\)"),
        (None, "not None"),
    ],
)
def test_what_is_no_model(brought, message):
    with pytest.raises(ArgumentError, match=f"model must be a torch.nn.Module, {message}"):
        from_torch(brought, IMAGES, name="n")
