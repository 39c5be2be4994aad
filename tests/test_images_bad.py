"""Every way in which a picture can be bad, and those that are too large."""

from __future__ import annotations

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
from pictures import COLOURS, GREY, RAMP, WIDE_FORMS, encoded, shades
from PIL import Image

from pynq_cnn.errors import ImageError
from pynq_cnn.images import MAX_PIXELS, prepare, to_network_input
from pynq_cnn.images.reading import read_pixels


def png_header(width: int, height: int) -> bytes:
    """A PNG file that says it is `width` x `height`, and holds the beginning of that many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


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


@pytest.mark.once
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
    assert read_pixels(encoded(Image.new("L", (8800, 8000), 77), "JPEG"), GREY).shape == (2000, 2200, 1)


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
