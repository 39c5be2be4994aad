"""Types of numbers, steps and warnings: what the values of an array are taken for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pictures import COLOURS, DIGIT, GREY, RAMP, RGB, WIDE_FORMS, encoded, shades
from PIL import Image

from pynq_cnn.errors import ImageError
from pynq_cnn.images import prepare, to_network_input
from pynq_cnn.model import InputSpec
from pynq_cnn.zoo import load_sample

BGR = InputSpec(4, 6, 3, "BGR", (0.0,) * 3, (1.0,) * 3)


@pytest.mark.parametrize("dtype", ["f2", "<f4", ">f4", "<f8", ">f8", "g"])
def test_floats_of_a_byte_over_255_give_the_byte(dtype: str) -> None:
    every = np.arange(256).reshape(16, 16)
    spec = InputSpec(16, 16, 1, "L", (0.0,), (1.0,))
    assert np.array_equal(to_network_input((every / 255).astype(dtype), spec)[:, :, 0], every)


def test_floats_just_outside_are_rounding_error() -> None:
    assert to_network_input(np.full((4, 6), 1.0000002), GREY).min() == 255
    assert to_network_input(np.full((4, 6), -1e-9), GREY).max() == 0


@pytest.mark.parametrize("dtype", ["i1", "i2", ">i4", "i8", "u4", "u8"])
def test_other_integers_are_bytes(dtype: str) -> None:
    values = np.minimum(RAMP, 127)
    assert np.array_equal(to_network_input(values.astype(dtype), GREY)[:, :, 0], values)


@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_uint16_is_scaled_from_16_bits(dtype: str) -> None:
    array = np.zeros((4, 6), dtype)
    array[0, :4] = 65535, 257 * 100, 257 * 100 + 128, 257 * 100 + 129
    assert to_network_input(array, GREY)[0, :4, 0].tolist() == [255, 100, 100, 101]


def test_bool_is_black_and_white() -> None:
    assert np.array_equal(to_network_input(RAMP > 100, GREY)[:, :, 0], np.where(RAMP > 100, 255, 0))


def test_rgb_to_grey_as_pillow_does_it_and_grey_as_rgb_stays_exact() -> None:
    assert np.array_equal(to_network_input(COLOURS, GREY)[:, :, 0], np.asarray(Image.fromarray(COLOURS).convert("L")))
    assert np.array_equal(to_network_input(np.repeat(RAMP[:, :, None], 3, 2), GREY)[:, :, 0], RAMP)
    assert np.array_equal(to_network_input(RAMP, RGB), np.repeat(RAMP[:, :, None], 3, 2))


def test_colour_order() -> None:
    assert np.array_equal(to_network_input(COLOURS, RGB), COLOURS)
    assert np.array_equal(to_network_input(COLOURS, BGR), COLOURS[:, :, ::-1])
    assert to_network_input(COLOURS, BGR).flags.c_contiguous


@pytest.mark.parametrize("form", WIDE_FORMS)
@pytest.mark.parametrize("bits", [10, 12, 14])
def test_camera_data_is_read_by_the_bits_that_it_has(bits: int, form: str) -> None:
    full = 2**bits - 1
    for highest in (full, full * 2 // 3):  # a darker picture still needs as many bits
        ready = prepare(WIDE_FORMS[form](shades(highest)), GREY)
        assert np.abs(ready.pixels[:, :, 0] - shades(highest) * (255 / full)).max() <= 0.501
        assert ready.steps[0] == f"read as {bits}-bit values, 0..{full}"
        assert (
            len(ready.warnings) == 1 and f"array / {full}" in ready.warnings[0] and f"is {highest}" in ready.warnings[0]
        )
    stated = prepare(shades(full) / full, GREY)  # what the warning advises
    assert np.array_equal(stated.pixels, prepare(shades(full), GREY).pixels) and not stated.warnings


@pytest.mark.parametrize("form", WIDE_FORMS)
def test_16_bits_are_in_no_doubt(form: str) -> None:
    for values in (shades(65535), shades(30000), RAMP.astype(np.uint16) // 10 * 257):
        ready = prepare(WIDE_FORMS[form](values), GREY)
        assert ready.steps[0] == "read as 16-bit values, 0..65535" and not ready.warnings
        assert np.abs(ready.pixels[:, :, 0] - values / 257).max() <= 0.501


def test_a_12_bit_digit_is_found_as_the_8_bit_one() -> None:
    digit = np.pad(load_sample()[0][3], 20)
    assert (
        np.abs(prepare(digit.astype(np.uint16) * 16, DIGIT).pixels.astype(int) - prepare(digit, DIGIT).pixels).max()
        < 40
    )


def test_floats_a_little_over_1_in_a_float_image_are_rounding_too() -> None:
    assert to_network_input(Image.fromarray(np.full((4, 6), 1.0003, np.float32)), GREY).min() == 255
    for high in (1.5, 12.0, 4095.0):
        with pytest.raises(ImageError, match=f"to {high:g}, neither 0..1 nor 0..255"):
            to_network_input(Image.fromarray(np.linspace(0, high, 24, dtype=np.float32).reshape(4, 6)), GREY)


def test_steps_of_reading() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = [Image.fromarray(RAMP), Image.fromarray(255 - RAMP)]
    clear = np.dstack([COLOURS, np.full((4, 6), 9, np.uint8)])
    clear[0, 0, 3] = 255
    for image, spec, step in (
        (
            encoded(Image.fromarray(RAMP.T.copy()), "PNG", exif=exif),
            GREY,
            "turned upright, as its EXIF orientation says",
        ),
        (
            encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
            GREY,
            "the first of several frames was taken",
        ),
        (COLOURS, GREY, "turned from colour to grey"),
        (clear, RGB, "transparent pixels laid over"),
        (encoded(Image.new("L", (4400, 2300), 77), "JPEG"), GREY, "read as 2200 x 1150 pixels of 4400 x 2300"),
        (np.tile(RAMP, (1, 2)), GREY, "cropped to 6 x 4 pixels at (3, 0) of 12 x 4"),
        (np.tile(RAMP, (2, 2)), GREY, "scaled from 12 x 8 to 6 x 4"),
        (RAMP, GREY, "taken as it is"),
        (Image.fromarray(COLOURS), BGR, "taken as it is"),
        (COLOURS, BGR, "its channels were taken for red, green and blue, in this order"),  # OpenCV's are not
    ):
        assert any(text.startswith(step) for text in prepare(image, spec).steps), step


def test_warnings_of_things() -> None:
    wide = np.tile(RAMP, (1, 3))
    assert any("less than half of the picture" in text for text in prepare(wide, GREY).warnings)
    assert not prepare(np.tile(RAMP, (2, 3)), GREY).warnings
    assert any("one brightness all over" in text for text in prepare((RAMP > 100).astype(np.uint8), GREY).warnings)
    assert any("grey, and the network knows pictures in colour" in text for text in prepare(RAMP, RGB).warnings)
    assert not prepare(COLOURS, RGB).warnings
    assert any("too few pixels" in text for text in prepare(RAMP, InputSpec(32, 32, 1, "L", (0.0,), (1.0,))).warnings)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "La", "P", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "array", "floats"])
def test_a_grey_picture_is_told_in_whatever_form_it_comes(mode: str) -> None:
    black_and_white = Image.fromarray(np.where(RAMP > 100, np.uint8(255), np.uint8(0)))
    forms: dict[str, Any] = {
        "array": np.stack([RAMP] * 3, 2),
        "floats": np.stack([RAMP] * 3, 2) / 255,
        "La": black_and_white.convert("LA").convert("La"),
    }
    picture = forms[mode] if mode in forms else black_and_white.convert("RGB").convert(mode)
    ready = prepare(picture, RGB)
    assert ready.warnings == ("the picture is grey, and the network knows pictures in colour",)
    assert ready.steps == ("taken as it is",)
    assert prepare(picture, GREY).steps == ("taken as it is",)


def test_one_pixel_with_a_colour_is_a_colour() -> None:
    page = np.full((1500, 1200, 3), 200, np.uint8)
    page[-1, -1] = 200, 201, 200
    assert "turned from colour to grey" in prepare(page, GREY).steps
    assert not any("is grey" in text for text in prepare(page, RGB).warnings)


def test_a_digit_scaled_to_nothing_says_so() -> None:
    with pytest.raises(ImageError, match="no digit was found.*from 0 to 1 of 255"):
        to_network_input((load_sample()[0][3] > 127).astype(np.uint8), DIGIT)
