"""Every way in which a picture can come, and every way in which it can be bad."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pynq_cnn.errors import ImageError
from pynq_cnn.images import MAX_PIXELS, prepare, to_network_input
from pynq_cnn.images.reading import read_pixels
from pynq_cnn.model import InputSpec
from pynq_cnn.zoo import load_sample

GREY = InputSpec(4, 6, 1, "L", (0.0,), (1.0,))
RGB = InputSpec(4, 6, 3, "RGB", (0.0,) * 3, (1.0,) * 3)
BGR = InputSpec(4, 6, 3, "BGR", (0.0,) * 3, (1.0,) * 3)
DIGIT = InputSpec(28, 28, 1, "L", (0.1307,), (0.3081,), fit="digit", invert="auto")

RAMP = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
COLOURS = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)


def encoded(picture: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG file that says it is `width` x `height`, and holds the beginning of that many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


# ---------------------------------------------------------------------------------------------------- where it comes
# from


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


# ---------------------------------------------------------------------------------------------------- types of numbers


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


def shades(highest: int) -> np.ndarray:
    """uint16 [4, 6] up to `highest`."""
    return np.linspace(3, highest, 24).round().astype(np.uint16).reshape(4, 6)


WIDE_FORMS = {
    "array": lambda v: v,
    "big-endian array": lambda v: v.astype(">u2"),
    "I;16": lambda v: Image.frombytes("I;16", (6, 4), v.astype("<u2").tobytes()),
    "I": lambda v: Image.fromarray(v.astype(np.int32)),
    "PNG": lambda v: encoded(Image.frombytes("I;16", (6, 4), v.astype("<u2").tobytes())),
}


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


# ---------------------------------------------------------------------------------------------------- steps and
# warnings


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


# ---------------------------------------------------------------------------------------------------- modes of files


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
    assert np.array_equal(read_pixels(encoded(stored, "PNG", exif=exif), 1)[:, :, 0], upright)
    lossy = read_pixels(encoded(stored, "JPEG", exif=exif, quality=95), 1)[:, :, 0].astype(int)
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
    assert read_pixels(content, 1).shape == (1150, 2200, 1)
    assert read_pixels(content, 1, enough=2000).shape == (2300, 4400, 1)


# ---------------------------------------------------------------------------------------------------- bad ones


@pytest.mark.parametrize(
    "image, message",
    [
        (b"", r"0 bytes"),
        (b"not an image", "not an image that Pillow can read"),
        (b"\x89PNG\r\n\x1a\n", "not an image that Pillow can read"),
        ("/nowhere/photo.jpg", "does not exist.*check the name"),
        ("https://example.org/digit.png", "address, not a file; download it first"),
        ("a\0b.png", "cannot be opened"),
        (None, "must be a path, the bytes.*not builtins.NoneType; cv2.imread gives None"),
        (np.ma.masked_all((4, 6), np.uint8), "24 masked values.*filled"),
        (np.ma.masked_equal(RAMP, 0), "1 masked values.*filled"),
        (np.zeros((4, 6), [("r", "u1"), ("g", "u1")]), "unusable type"),
        (np.array([[b"a"] * 6] * 4, object), "unusable type"),
        (type("Tensor", (), {"__array__": lambda self: RAMP})(), "make it one with numpy.asarray"),
        (7, "not builtins.int"),
        ([[0, 1]], "not builtins.list"),
        (np.float64(0.5), "not numpy.float64"),
        (np.zeros((0, 5), np.uint8), "no pixels: 5 x 0"),
        (np.zeros(10, np.uint8), "not one image.*pick one"),
        (np.zeros((2, 28, 28, 1), np.uint8), "not one image.*pass a batch as a list"),
        (np.zeros((3, 28, 28), np.uint8), "channels come last"),
        (np.zeros((28, 28, 2), np.uint8), "not one image"),
        (np.zeros((4, 6), object), "unusable type"),
        (np.zeros((4, 6), complex), "unusable type"),
        (np.zeros((4, 6), "M8[s]"), "unusable type"),
        (np.full((4, 6), "x"), "unusable type"),
        (np.full((4, 6), np.nan), "NaN or infinity"),
        (np.where(RAMP == 0, np.nan, 0.5), "NaN or infinity"),
        (np.where(RAMP == 0, np.inf, 0.5), "NaN or infinity"),
        (np.where(RAMP == 0, -np.inf, np.inf).astype(np.float16), "NaN or infinity"),
        (RAMP.astype(np.float32), r"from 0 to 230; floats must be in 0..1"),
        (RAMP / 255 - 0.1, "from -0.1 to .* floats must be in 0..1"),
        (np.full((4, 6), 1e300), "floats must be in 0..1"),
        (RAMP.astype(np.int16) - 1, "from -1 to 229; integers must be in 0..255"),
        (RAMP.astype(np.int64) * 2, "from 0 to 460; integers must be in 0..255"),
        (np.full((4, 6), 2**64 - 1, np.uint64), "integers must be in 0..255"),
        (RAMP.astype(np.uint16), r"largest value is 230 of 65535.*astype\(np.uint8\)"),
        (Image.fromarray(np.full((4, 6), -5, np.int32)), "from -5 to -5.*divided by the largest value possible"),
        (Image.fromarray(RAMP.astype(np.int32)), r"largest value is 230 of 65535.*numpy.asarray\(image\)"),
        (encoded(Image.fromarray(RAMP.astype(np.uint16))), r"largest value is 230 of 65535.*numpy.asarray\(image\)"),
        (Image.fromarray(np.full((4, 6), np.nan, np.float32)), "NaN or infinity"),
    ],
)
def test_bad_images_say_what_to_do(image: Any, message: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError, match=message):
            to_network_input(image, GREY)


def test_slices_of_a_memory_view() -> None:
    content = np.frombuffer(encoded(Image.fromarray(RAMP)), np.uint8)
    assert np.array_equal(to_network_input(memoryview(np.repeat(content, 2))[::2], GREY)[:, :, 0], RAMP)
    with pytest.raises(ImageError, match="not an image that Pillow can read"):
        to_network_input(memoryview(RAMP.copy())[::2], GREY)
    with pytest.raises(ImageError, match="cannot be read"):
        view = memoryview(b"abc")
        view.release()
        to_network_input(view, GREY)


def test_an_array_with_a_mask_that_masks_nothing_is_taken() -> None:
    assert np.array_equal(to_network_input(np.ma.array(RAMP, mask=np.zeros_like(RAMP)), GREY)[:, :, 0], RAMP)


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1", "I;16"])
@pytest.mark.parametrize("transparency", ["red", None, (1, 2, 3, 4, 5), 1.5, b"", 10**30, object()])
def test_a_bad_transparency_of_the_users_is_no_traceback(mode: str, transparency: Any) -> None:
    picture = Image.fromarray(COLOURS).convert(mode) if mode != "I;16" else WIDE_FORMS["I;16"](shades(65535))
    picture.info["transparency"] = transparency
    try:
        assert prepare(picture, GREY).pixels.shape == (4, 6, 1)
    except ImageError as error:
        assert "info['transparency']" in str(error) or "transparent" in str(error)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
def test_a_pipe_or_a_device_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    os.symlink(tmp_path / "pipe", tmp_path / "link.png")
    for path in (tmp_path / "pipe", str(tmp_path / "link.png"), "/dev/zero"):
        with pytest.raises(ImageError, match="a pipe or a device, not a file; read it"):
            to_network_input(path, GREY)


MEMORY = """
import resource, sys
import numpy as np
from pynq_cnn.images import prepare
from pynq_cnn.model import InputSpec
spec = InputSpec(4, 6, 3, "RGB", (0.0,) * 3, (1.0,) * 3)
small = np.broadcast_to(np.{0}({1}), (40, 60, {2}))
prepare(small, spec)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
prepare(np.broadcast_to(np.{0}({1}), (4000, 3000, {2})), spec)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / 12e6)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux counts it")
@pytest.mark.parametrize("value", [("float64", 0.5, 4), ("float64", 0.5, 3), ("uint16", 60000, 4), ("float32", 0.5, 1)])
def test_memory_for_large_arrays_of_wide_types(value: tuple[str, float, int]) -> None:
    """Bytes a pixel, beside the array itself: three copies in 8 bits, none in the wide type."""
    done = subprocess.run([sys.executable, "-c", MEMORY.format(*value)], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 14, done.stdout


def test_a_missing_file_where_the_folder_is_gone_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(ImageError, match="does not exist"):
        to_network_input("digit.png", GREY)


def test_black_in_16_bits_is_black() -> None:
    assert not to_network_input(np.zeros((4, 6), np.uint16), GREY).any()


def test_a_folder_and_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be opened"):
        to_network_input(tmp_path, GREY)
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"empty\.png.*0 bytes"):
        to_network_input(tmp_path / "empty.png", GREY)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "PPM"])
def test_truncated_files(format: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    content = encoded(Image.fromarray(noise), format)
    for part in (0.05, 0.3, 0.6):
        with pytest.raises(ImageError, match="damaged|truncated"):
            to_network_input(content[: int(len(content) * part)], GREY)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of damaged TIFF files
@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "TIFF"])
def test_altered_files_never_raise_anything_else(format: str) -> None:
    rng = np.random.default_rng(1)
    sound = np.frombuffer(encoded(Image.fromarray(rng.integers(0, 256, (32, 32), dtype=np.uint8)), format), np.uint8)
    read = 0
    for _ in range(60):
        altered = sound.copy()
        at = rng.integers(0, len(altered), 8)
        altered[at] = rng.integers(0, 256, 8)
        try:
            read += to_network_input(altered.tobytes(), GREY).shape == (4, 6, 1)
        except ImageError as error:
            assert str(error)
    assert read < 60


def test_a_closed_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(RAMP).save(path)
    picture = Image.open(path)
    picture.close()
    with pytest.raises(ImageError):
        to_network_input(picture, GREY)


# ---------------------------------------------------------------------------------------------------- too large


@pytest.mark.parametrize("side", [6_400, 20_000, 100_000])
def test_decompression_bombs_are_refused_before_decoding(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: Any) -> None:
        raise AssertionError("a pixel was decoded")

    monkeypatch.setattr(Image.Image, "load", decode)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of some of these too
        with pytest.raises(ImageError, match="too large.*40,000,000.*scale it down"):
            to_network_input(png_header(side, side), GREY)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError, match="too large.*40,000,000.*scale it down"):
            to_network_input(png_header(side, side), GREY)


def test_a_jpeg_over_the_limit_is_decoded_at_a_fraction_all_the_same() -> None:
    assert read_pixels(encoded(Image.new("L", (8800, 8000), 77), "JPEG"), 1).shape == (2000, 2200, 1)


def test_the_limit_holds_whatever_pillows_own_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(ImageError, match="20,000 x 20,000 pixels, the limit is 40,000,000"):
        to_network_input(png_header(20_000, 20_000), GREY)


@pytest.mark.parametrize("shape", [(20_000, 20_000), (13_000, 13_000, 3), (MAX_PIXELS + 1, 1)])
def test_huge_arrays_are_refused_before_copying(shape: tuple[int, ...]) -> None:
    """Each shape is below 2 GiB, as a machine of 32 bits can have no other."""
    with pytest.raises(ImageError, match="too large"):
        to_network_input(np.broadcast_to(np.float32(0.5), shape), GREY)


def test_huge_pillow_images_are_refused() -> None:
    with pytest.raises(ImageError, match="too large"):
        to_network_input(Image.new("1", (20_000, 2_100)), GREY)
