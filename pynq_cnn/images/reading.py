"""Anything that holds a picture, to its pixels in 8 bits, grey or RGB."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, Union

import numpy as np
from PIL import Image, ImageOps, ImageStat

from pynq_cnn.errors import ImageError
from pynq_cnn.images.prepared import Prepared

ImageLike = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, Image.Image, np.ndarray, Prepared]

# Larger pictures are refused before a pixel of them is decoded. This many take 160 MB as RGB, what a board with 512 MB can spare.
MAX_PIXELS = 40_000_000

# JPEG decodes at 1/2, 1/4 or 1/8 for a fraction of the time and memory; no side becomes shorter than this.
ENOUGH = 1024

ORIENTATION = 0x0112  # EXIF tag


def read_pixels(image: Any, channels: int, enough: int = ENOUGH) -> np.ndarray:
    """The pixels of a picture.

    Parameters
    ----------
    image : path, bytes, PIL.Image.Image or numpy.ndarray
        As `prepare` takes it.
    channels : {1, 3}
        Grey (ITU-R 601 luma) or RGB.
    enough : int
        Pixels a side that are of use: a larger JPEG may be decoded at a fraction of its size, not below this.

    Returns
    -------
    numpy.ndarray
        uint8 [H, W, channels].

    Raises
    ------
    ImageError
        If it cannot be read, or is larger than `MAX_PIXELS`.
    """
    if isinstance(image, (bytes, bytearray, memoryview)):
        picture = _decode(io.BytesIO(image), f"an image of {memoryview(image).nbytes} bytes", enough)
    elif isinstance(image, (str, os.PathLike)):
        picture = _open(image, enough)
    elif isinstance(image, Image.Image):
        picture = _load(image, f"the PIL image of mode {image.mode}")
    elif isinstance(image, np.ndarray):
        picture = _from_array(image)
    else:
        kind = f"{type(image).__module__}.{type(image).__name__}"
        raise ImageError(f"an image must be a path, the bytes of a file, a PIL image or a NumPy array, not {kind}")
    picture = _over_background(_to_8_bits(picture))
    mode = "L" if channels == 1 else "RGB"
    try:
        picture = picture if picture.mode == mode else picture.convert(mode)
    except ValueError as error:
        raise ImageError(f"the image has mode {picture.mode}, which cannot be converted ({error}); save it as RGB or grey") from error
    return np.array(picture).reshape(picture.height, picture.width, channels)


def _open(path: Any, enough: int) -> Image.Image:
    name = os.fspath(path)
    if isinstance(name, str) and "://" in name:
        raise ImageError(f"{name!r} is an address, not a file; download it first and pass its bytes")
    try:
        with open(name, "rb") as file:
            return _decode(file, repr(str(path)), enough)
    except FileNotFoundError:
        raise ImageError(f"{str(path)!r} does not exist (looked in {Path.cwd()}); check the name") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{str(path)!r} cannot be opened: {reason}; give the path of a readable image file") from error


def _decode(file: Any, name: str, enough: int) -> Image.Image:
    if not file.read(1):
        raise ImageError(f"{name} is empty (0 bytes); the file was not written completely")
    file.seek(0)
    try:
        picture = Image.open(file)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:  # the warning, where a user made it an error
        raise ImageError(f"{name} is too large ({error}); the limit is {MAX_PIXELS:,} pixels, scale it down") from error
    except Exception as error:  # Pillow's readers meet damaged files with a dozen types of exception
        raise ImageError(f"{name} is not an image that Pillow can read, or is damaged; convert it to PNG or JPEG") from error
    picture.draft(None, (enough, enough))
    return _load(picture, name)


def _check_size(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(f"{name} is too large: {width:,} x {height:,} pixels, the limit is {MAX_PIXELS:,}; scale it down")
    if width * height == 0:
        raise ImageError(f"{name} has no pixels: {width} x {height}")


def _load(picture: Image.Image, name: str) -> Image.Image:
    """Decode, and turn upright as EXIF says; a picture of the caller's is not changed."""
    _check_size(picture.width, picture.height, name)
    try:
        picture.load()
    except Exception as error:  # see _decode
        raise ImageError(f"{name} is truncated or damaged ({str(error) or type(error).__name__}); copy or save it again") from error
    try:
        upright = picture.getexif().get(ORIENTATION, 1) == 1  # the usual case: spare a copy
        return picture if upright else ImageOps.exif_transpose(picture)
    except Exception:  # damaged EXIF data beside sound pixels: take them as they lie
        return picture


def _from_array(array: np.ndarray) -> Image.Image:
    name = f"the array of {array.dtype} {array.shape}"
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ImageError(f"{name} is not one image: it must be [H, W], [H, W, 1], [H, W, 3] or [H, W, 4]; {_shape_advice(array.shape)}")
    _check_size(array.shape[1], array.shape[0], name)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    return Image.fromarray(np.ascontiguousarray(_bytes_of(array, name)))


def _shape_advice(shape: tuple[int, ...]) -> str:
    if len(shape) == 4:
        return "pass a batch as a list of images, or to Classifier.predict"
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        return "channels come last, use np.moveaxis(array, 0, -1)"
    return "pick one image, or reshape it"


def _bytes_of(array: np.ndarray, name: str) -> np.ndarray:
    """uint8 of an array of another type, by what its type says the range is."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind == "f":
        return _from_unit_floats(array, name)
    if array.dtype.kind in "iu":
        low, high = int(array.min()), int(array.max())
        if array.dtype.kind == "u" and array.dtype.itemsize == 2:  # of either byte order
            return _from_16_bits(array, high, name)
        if low < 0 or high > 255:
            raise ImageError(
                f"{name} has values from {low} to {high}; integers must be in 0..255, or be uint16: scale it, then .astype(np.uint8)"
            )
        return array.astype(np.uint8)
    raise ImageError(f"{name} has an unusable type; pass uint8, bool, or floats in 0..1")


def _from_unit_floats(array: np.ndarray, name: str) -> np.ndarray:
    low, high = float(array.min()), float(array.max())  # a NaN anywhere makes both NaN
    if not np.isfinite([low, high]).all():
        raise ImageError(f"{name} holds NaN or infinity; replace them, for instance with np.nan_to_num")
    if low < -1 / 512 or high > 1 + 1 / 512:  # what still rounds to a byte is rounding error, and taken
        raise ImageError(
            f"{name} has values from {low:.6g} to {high:.6g}; floats must be in 0..1: "
            "divide by the largest value possible, or pass .astype(np.uint8) if they are bytes"
        )
    return np.rint(array.astype(np.float32) * np.float32(255)).astype(np.uint8)


def _from_16_bits(array: np.ndarray, high: int, name: str) -> np.ndarray:
    if 0 < high <= 255:  # either nearly black, or bytes in a wide type: nobody wants it guessed
        raise ImageError(
            f"{name} has 16 bits, but its largest value is {high} of 65535, all but black; if it holds bytes pass .astype(np.uint8)"
        )
    return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _to_8_bits(picture: Image.Image) -> Image.Image:
    """Modes wider than 8 bits to "L": Pillow's own conversion would cut them off at 255."""
    name = f"the image of mode {picture.mode}"
    if picture.mode == "F":
        values = np.asarray(picture)
        # Pillow makes floats of 0..255 itself, other programs 0..1; only a black picture could be both.
        if np.isfinite(values).all() and values.max() > 1:
            values = values / np.float32(255)
        return Image.fromarray(_from_unit_floats(values, name))
    if picture.mode == "I" or picture.mode.startswith("I;16"):
        values = np.asarray(picture)
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > 65535:
            raise ImageError(f"{name} has values from {low} to {high}; it must be 16 bits, 0..65535: scale it")
        return Image.fromarray(_from_16_bits(values, high, name))
    return picture


def _over_background(picture: Image.Image) -> Image.Image:
    """Lay transparent pixels over white or black, whichever contrasts with what is visible: ink on nothing shows as ink on paper."""
    if "transparency" not in picture.info and picture.mode not in ("LA", "La", "PA", "RGBA", "RGBa"):
        return picture
    picture = picture.convert("LA").convert("RGBA") if picture.mode == "La" else picture.convert("RGBA")
    alpha = picture.getchannel("A")
    least, most = alpha.getextrema()
    if least == 255:
        return picture
    if most == 0:
        raise ImageError("every pixel of the image is transparent; save it with a background")
    visible = ImageStat.Stat(picture.convert("L"), mask=alpha).mean[0]
    background = Image.new("RGBA", picture.size, "white" if visible < 128 else "black")
    return Image.alpha_composite(background, picture)
