"""Every way in which a picture can come."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from pictures import DIGIT, GREY, RAMP, encoded
from PIL import Image

from pynq_cnn.images import to_network_input
from pynq_cnn.zoo import load_sample


def test_path_bytes_pillow_and_array_are_the_same_picture(tmp_path: Path) -> None:
    picture = Image.fromarray(RAMP)
    path = tmp_path / "ramp.png"
    picture.save(path)
    content = path.read_bytes()
    for image in (
        path,
        str(path),
        content,
        bytearray(content),
        memoryview(content),
        picture,
        Image.open(path),
        RAMP,
        RAMP[:, :, None],
    ):
        seen = to_network_input(image, GREY)
        assert seen.dtype == np.uint8 and seen.flags.c_contiguous
        assert np.array_equal(seen, RAMP[:, :, None])


def test_result_is_a_copy() -> None:
    mine = RAMP.copy()
    to_network_input(mine, GREY)[...] = 1
    assert np.array_equal(mine, RAMP)
    digit = load_sample()[0][0].copy()
    to_network_input(digit, DIGIT)[...] = 1
    assert np.array_equal(digit, load_sample()[0][0])


def test_the_callers_picture_is_not_changed() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.open(io.BytesIO(encoded(Image.fromarray(RAMP), "PNG", exif=exif)))
    to_network_input(picture, GREY)
    assert picture.size == (6, 4) and picture.mode == "L" and picture.getexif()[0x0112] == 6


def test_strides_byte_order_and_read_only_arrays() -> None:
    big = np.zeros((8, 12), np.uint8)
    big[::2, ::2] = RAMP
    locked = RAMP.copy()
    locked.flags.writeable = False
    for array in (big[::2, ::2], np.asfortranarray(RAMP), RAMP[::-1, ::-1][::-1, ::-1], locked):
        assert np.array_equal(to_network_input(array, GREY)[:, :, 0], RAMP)
