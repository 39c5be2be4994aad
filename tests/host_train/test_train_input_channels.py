"""Networks over images of 1 to 4 channels, and of more where the input says so."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import pynq_cnn
from host_train import from_torch
from host_train.foreign.onnx_file import _shape_of
from pynq_cnn.errors import ArgumentError, ImageError
from pynq_cnn.model import InputSpec

SIDES = 9, 7  # height, width
COLOR = {1: "L", 2: "plain", 3: "RGB", 4: "plain"}


def model(channels: int) -> nn.Module:
    torch.manual_seed(channels)
    layers = nn.Conv2d(channels, 5, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3)
    return nn.Sequential(*layers).eval()


def images(channels: int) -> np.ndarray:
    """uint8 [n, height, width, channels]: each channel of its own range, so that none is taken for another."""
    coarse = np.random.default_rng(channels).integers(0, 256 - 10 * channels, (40, 3, 3, channels))
    smooth = np.repeat(np.repeat(coarse, 3, 1), 3, 2)[:, :, : SIDES[1]]
    return (smooth + 10 * np.arange(channels)).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_channels_are_what_their_number_says_at_most(channels: int, tmp_path) -> None:
    made, octets = model(channels), images(channels)
    planar = torch.from_numpy(octets.transpose(0, 3, 1, 2).copy())
    network = from_torch(made, octets, name="n", folder=tmp_path / "n")
    assert (network.input.shape, network.input.color) == ((*SIDES, channels), COLOR[channels])
    for same in (planar, planar.numpy(), planar.permute(0, 2, 3, 1), planar / 255):
        again = from_torch(made, same, name="n")
        assert again.layers == network.layers and again.input == network.input
    theirs = made(planar / 255).detach().numpy()
    with pynq_cnn.Classifier(tmp_path / "n", "cpu") as classifier:
        ours = classifier.logits(octets)
        assert np.abs(ours - theirs).max() < 0.05 * np.ptp(theirs)
        if COLOR[channels] == "plain":  # nothing says that one is alpha
            with pytest.raises(ImageError, match=f"takes {channels} plain channels"):
                classifier.classify("photo.jpg")


@pytest.mark.parametrize("color, channels", [("LA", 2), ("RGBA", 4), ("BGRA", 4), ("plain", 13)])
def test_an_input_says_more(color: str, channels: int) -> None:
    mean, std = tuple(np.linspace(0.4, 0.6, channels)), tuple(np.linspace(0.2, 0.3, channels))
    spec, octets = InputSpec(*SIDES, channels, color, mean, std), images(channels)
    made = model(channels)
    network = from_torch(made, octets, name="n", spec=spec)
    assert network.input == spec
    planar = torch.from_numpy(octets.transpose(0, 3, 1, 2).copy())
    assert from_torch(made, planar, name="n", spec=spec).layers == network.layers
    with pytest.raises(ArgumentError, match="calibration images must be"):
        from_torch(model(channels), images(3), name="n", spec=spec)


def test_more_channels_than_pictures_have_are_asked_for() -> None:
    with pytest.raises(ArgumentError, match="must have 1 to 4 channels, not the 13 of a batch.*InputSpec.*'plain'"):
        from_torch(model(13), images(13).transpose(0, 3, 1, 2).astype(np.float32) / 255, name="n")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_the_size_that_an_onnx_file_leaves_open(channels: int) -> None:
    octets = images(channels)
    for same in (octets, octets.transpose(0, 3, 1, 2), octets.transpose(0, 3, 1, 2) / 255):
        assert _shape_of(same, None) == (channels, *SIDES)
