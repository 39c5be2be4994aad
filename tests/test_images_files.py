"""Modes of picture files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pictures import COLOURS, GREY, RAMP, RGB, encoded
from PIL import Image

from pynq_cnn.errors import ImageError
from pynq_cnn.images import to_network_input
from pynq_cnn.images.reading import read_pixels


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "F", "PA", "RGBX"])
def test_every_mode_of_pillow(mode: str) -> None:
    picture = Image.fromarray(COLOURS).convert("P" if mode == "PA" else mode if mode != "I" else "L")
    if mode == "PA":
        picture = picture.convert("PA")
        if picture.getchannel("A").getextrema() != (255, 255):
            pytest.skip("Pillow before 9.1 makes up an alpha channel here")
    if mode == "I":
        picture = Image.fromarray(RAMP.astype(np.int32) * 257)
    direct = mode in ("1", "L", "LA", "F")  # to grey without colours in between
    expected = RAMP if mode == "I" else np.asarray((picture if direct else picture.convert("RGB")).convert("L"))
    seen = to_network_input(picture, GREY)[:, :, 0]
    assert np.abs(seen.astype(int) - expected).max() <= 1  # rounding of F


def test_lab_is_refused_with_advice() -> None:
    with pytest.raises(ImageError, match="mode LAB.*save it as RGB"):
        to_network_input(Image.new("LAB", (6, 4)), GREY)


def test_16_bit_png() -> None:
    wide = Image.frombytes("I;16", (6, 4), (RAMP.astype("<u2") * 257).tobytes())
    assert np.array_equal(to_network_input(encoded(wide), GREY)[:, :, 0], RAMP)
    assert np.array_equal(to_network_input(wide, GREY)[:, :, 0], RAMP)


def test_float_images_of_pillow_and_of_others() -> None:
    for values in (RAMP.astype(np.float32), RAMP.astype(np.float32) / 255):
        assert np.array_equal(to_network_input(encoded(Image.fromarray(values), "TIFF"), GREY)[:, :, 0], RAMP)


def test_cmyk_jpeg() -> None:
    picture = Image.new("CMYK", (60, 40), (0, 255, 255, 0))
    red = to_network_input(encoded(picture, "JPEG", quality=95), RGB)[2, 3]
    assert red[0] > 200 and red[1] < 60 and red[2] < 60


@pytest.mark.parametrize("ink, background", [(20, 255), (230, 0)])
@pytest.mark.parametrize("kind", ["RGBA", "LA", "P", "array", "RGB+tRNS"])
def test_transparent_pixels_contrast_with_the_visible_ones(kind: str, ink: int, background: int) -> None:
    alpha = np.zeros((4, 6), np.uint8)
    alpha[1:3, 2:4] = 255
    picture = Image.fromarray(np.dstack([np.full((4, 6, 3), ink, np.uint8), alpha]))
    image: Any = picture
    if kind == "LA":
        image = picture.convert("LA")
    elif kind == "P":
        image = Image.new("P", (6, 4), 0)
        image.putpalette([128, 128, 128, ink, ink, ink])
        image.paste(1, (2, 1, 4, 3))
        image = encoded(image, "PNG", transparency=0)
    elif kind == "array":
        image = np.asarray(picture)
    elif kind == "RGB+tRNS":
        opaque = Image.new("RGB", (6, 4), (9, 9, 9))
        opaque.paste((ink, ink, ink), (2, 1, 4, 3))
        image = encoded(opaque, "PNG", transparency=(9, 9, 9))
    seen = to_network_input(image, GREY)[:, :, 0]
    assert np.array_equal(seen, np.where(alpha > 0, ink, background))


def test_half_transparent_ink_is_blended() -> None:
    picture = Image.new("RGBA", (6, 4), (0, 0, 0, 128))
    assert np.all(np.abs(to_network_input(picture, GREY).astype(int) - 127) <= 1)


def test_all_transparent_is_refused() -> None:
    with pytest.raises(ImageError, match="every pixel of the image is transparent"):
        to_network_input(Image.new("RGBA", (6, 4), (10, 20, 30, 0)), GREY)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int) -> None:
    upright = np.zeros((40, 60), np.uint8)
    upright[:20, :30] = 255  # a light quarter: each orientation moves it elsewhere
    upright[20:, :10] = 128
    turn = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: np.transpose,
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).T,
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(turn(upright)))
    assert np.array_equal(read_pixels(encoded(stored, "PNG", exif=exif), GREY)[:, :, 0], upright)
    lossy = read_pixels(encoded(stored, "JPEG", exif=exif, quality=95), GREY)[:, :, 0].astype(int)
    assert lossy.shape == upright.shape and np.abs(lossy - upright).mean() < 8


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_is_passed_over() -> None:
    content = encoded(Image.fromarray(RAMP), "PNG", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\xff\x01\x12\x00\x03")
    assert np.array_equal(to_network_input(content, GREY)[:, :, 0], RAMP)


def test_first_frame_of_an_animation() -> None:
    frames = [Image.fromarray(RAMP), Image.fromarray(255 - RAMP)]
    assert np.array_equal(
        to_network_input(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), GREY)[:, :, 0], RAMP
    )


def test_a_large_jpeg_is_decoded_at_a_fraction() -> None:
    content = encoded(Image.new("L", (4400, 2300), 77), "JPEG")
    assert read_pixels(content, GREY).shape == (1150, 2200, 1)
    assert read_pixels(content, GREY, enough=2000).shape == (2300, 4400, 1)
