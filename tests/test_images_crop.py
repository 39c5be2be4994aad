"""Pictures that are cut to the network's shape and scaled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pynq_cnn.images import prepare, to_network_input
from pynq_cnn.images.crop import fit_crop
from pynq_cnn.model import InputSpec
from pynq_cnn.zoo import load_model


def test_crop_takes_the_middle() -> None:
    pixels = np.zeros((40, 100, 3), np.uint8)
    pixels[:, 30:70] = (10, 200, 90)
    for wide in (pixels, pixels.transpose(1, 0, 2)):
        fitted = fit_crop(np.ascontiguousarray(wide), 20, 20)
        assert fitted.shape == (20, 20, 3)
        assert (
            np.all(fitted[2:-2, 2:-2] == (10, 200, 90)) and fitted[:, :, 1].min() > 150
        )  # the filter reaches over the cut a little


def test_crop_scales_with_antialiasing() -> None:
    stripes = np.zeros((64, 64, 1), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(fit_crop(stripes, 8, 8).astype(int) - 127).max() <= 16  # without antialiasing: all 0 or all 255


def test_crop_leaves_the_right_size_alone() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    fitted = fit_crop(pixels, 7, 9)
    assert np.array_equal(fitted, pixels) and not np.shares_memory(fitted, pixels)


@settings(max_examples=60)
@given(
    st.integers(1, 50),
    st.integers(1, 50),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([1, 3]),
    st.integers(0, 255),
)
def test_crop_of_a_plain_picture_is_plain(h: int, w: int, height: int, width: int, channels: int, value: int) -> None:
    fitted = fit_crop(np.full((h, w, channels), value, np.uint8), height, width)
    assert fitted.shape == (height, width, channels) and np.all(fitted == value)


@pytest.mark.parametrize("invert, expected", [("auto", 55), ("never", 200)])
def test_crop_inverts_a_light_border_only_if_asked(invert: str, expected: int) -> None:
    spec = InputSpec(5, 5, 3, "RGB", (0.0,) * 3, (1.0,) * 3, invert=invert)
    assert np.all(to_network_input(np.full((9, 9), 200, np.uint8), spec) == expected)
    assert np.all(to_network_input(np.full((9, 9), 100, np.uint8), spec) == 100)


def test_fashion_on_white_is_inverted_as_the_data_set_was(tmp_path: Path) -> None:
    """A thing on white, as a shop shows it, is what Fashion-MNIST was made of; its own images, which the thing may
    fill, are left alone.
    """
    spec = load_model("nin").input
    thing = np.full((112, 112), 255, np.uint8)
    thing[20:90, 30:80] = 60
    ready = prepare(thing, spec)
    assert np.array_equal(ready.pixels[:, :, 0], 255 - thing) and ready.steps == ("inverted, as its border is light",)
    filled = 255 - thing
    filled[0:100] = 200
    filled[100:, 20:90] = 200
    assert np.array_equal(prepare(filled, spec).pixels[:, :, 0], filled)
