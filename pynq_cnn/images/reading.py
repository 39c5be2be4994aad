"""Anything that holds a picture, to its pixels in 8 bits."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable
from typing import Any, Union

import numpy as np
from PIL import Image, ImageOps, ImageStat

from pynq_cnn.errors import ImageError
from pynq_cnn.images.prepared import Notes, Prepared
from pynq_cnn.model import InputSpec
from pynq_cnn.model.colors import PLAIN, has_alpha, mode_of

ImageLike = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, Image.Image, np.ndarray, Prepared]

# Larger pictures are refused before a pixel of them is decoded. This many take 160 MB as RGB, what a board with 512 MB
# can spare.
MAX_PIXELS = 40_000_000

# JPEG decodes at 1/2, 1/4 or 1/8 for a fraction of the time and memory; no side becomes shorter than this.
ENOUGH = 1024

ORIENTATION = 0x0112  # EXIF tag
ROUNDING = 1 / 512  # floats this far outside 0..1 still round to a byte, and are rounding errors
PIECE = 1 << 20  # values converted at once


def read_pixels(image: Any, spec: InputSpec, enough: int = ENOUGH, notes: Notes | None = None) -> np.ndarray:
    """The pixels of a picture.

    Parameters
    ----------
    image : path, bytes, PIL.Image.Image or numpy.ndarray
        As `prepare` takes it.
    spec : InputSpec
        Says what its channels are.
    enough : int
        Pixels a side that are of use: a larger JPEG may be decoded at a fraction of its size, not below this.
    notes : Notes, optional
        Steps and assumptions are written down here.

    Returns
    -------
    numpy.ndarray
        uint8 [H, W, channels]: grey (ITU-R 601 luma), RGB, either with alpha, or as they are given.

    Raises
    ------
    ImageError
        If it cannot be read, or is larger than `MAX_PIXELS`.
    """
    notes = Notes() if notes is None else notes
    mode = mode_of(spec.color)
    if mode == PLAIN:
        return _plain_channels(image, spec.channels, notes)
    if isinstance(image, (bytes, bytearray, memoryview)):
        picture = _decode(_file_of(image), f"an image of {memoryview(image).nbytes} bytes", enough, notes)
    elif isinstance(image, (str, os.PathLike)):
        picture = _open(image, enough, notes)
    elif isinstance(image, Image.Image):
        picture = _load(image, f"the PIL image of mode {image.mode}", notes)
    elif isinstance(image, np.ndarray):
        picture = _from_array(image, (1, 2, 3, 4) if mode == "LA" else (1, 3, 4), notes)
    else:
        kind = f"{type(image).__module__}.{type(image).__name__}"
        raise ImageError(
            "an image must be a path, the bytes of a file, a PIL image or a NumPy array, not"
            f" {kind}{_type_advice(image)}"
        )
    picture = _to_8_bits(picture, notes)
    try:
        picture = _with_alpha(picture, notes) if has_alpha(mode) else _over_background(picture, notes)
        grey = _is_grey(picture)
        if mode in ("RGB", "RGBA") and grey:
            notes.warn("the picture is grey, and the network knows pictures in colour")
        elif mode in ("RGB", "RGBA") and isinstance(image, np.ndarray):
            notes.step("its channels were taken for red, green and blue, in this order")
        elif mode in ("L", "LA") and not grey:
            notes.step("turned from colour to grey")
        if has_alpha(mode) and picture.mode != "RGBA":  # by the colours alone: some modes know their grey themselves
            picture = picture.convert(mode[:-1])
        picture = picture if picture.mode == mode else picture.convert(mode)
    except (ValueError, TypeError, OverflowError, SystemError) as error:
        if "transparency" in picture.info:
            raise ImageError(
                f"the image of mode {picture.mode} has info['transparency'] {picture.info['transparency']!r:.60}, "
                f"with which it cannot be converted ({error}); correct or delete that"
            ) from error
        raise ImageError(
            f"the image has mode {picture.mode}, which cannot be converted ({error}); save it as RGB or grey"
        ) from error
    return np.array(picture).reshape(picture.height, picture.width, spec.channels)


def _is_grey(picture: Image.Image) -> bool:
    """Whether no pixel has a colour, however the picture is stored."""
    if picture.mode in ("1", "L", "LA", "La"):
        return True
    most = max(1, PIECE // picture.width)
    top, rows = 0, 1  # a picture in colour shows it in its first rows, as a rule
    while top < picture.height:
        piece = picture.crop((0, top, picture.width, min(top + rows, picture.height)))
        red, green, blue = np.moveaxis(np.asarray(piece.convert("RGB")), 2, 0)
        if not (np.array_equal(red, green) and np.array_equal(green, blue)):
            return False
        top, rows = top + rows, min(2 * rows, most)
    return True


def _type_advice(image: Any) -> str:
    if image is None:
        return "; cv2.imread gives None for a file that it could not read: check the path, or pass the path itself"
    if hasattr(image, "__array__"):
        return "; make it one with numpy.asarray, channels last"
    return ""


def _file_of(content: Any) -> io.BytesIO:
    try:
        # Slices need not be contiguous.
        return io.BytesIO(memoryview(content).tobytes() if isinstance(content, memoryview) else content)
    except ValueError as error:
        raise ImageError(f"the bytes of the image cannot be read: {error}") from error


def _open(path: Any, enough: int, notes: Notes) -> Image.Image:
    name = os.fspath(path)
    if isinstance(name, str) and "://" in name:
        raise ImageError(f"{name!r} is an address, not a file; download it first and pass its bytes")
    try:
        kind = os.stat(name).st_mode
        # Opening a pipe waits for its writer, a device may never end.
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
            raise ImageError(f"{str(path)!r} is a pipe or a device, not a file; read it, and pass the bytes")
        with open(name, "rb") as file:
            return _decode(file, repr(str(path)), enough, notes)
    except FileNotFoundError:
        raise ImageError(f"{str(path)!r} does not exist (looked in {_here()}); check the name") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{str(path)!r} cannot be opened: {reason}; give the path of a readable image file") from error


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return "a folder that does not exist any more"


def _decode(file: Any, name: str, enough: int, notes: Notes) -> Image.Image:
    if not file.read(1):
        raise ImageError(f"{name} is empty (0 bytes); the file was not written completely")
    file.seek(0)
    try:
        picture = Image.open(file)
    except (
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:  # the warning, where a user made it an error
        raise ImageError(f"{name} is too large ({error}); the limit is {MAX_PIXELS:,} pixels, scale it down") from error
    except Exception as error:  # Pillow's readers meet damaged files with a dozen types of exception
        raise ImageError(
            f"{name} is not an image that Pillow can read, or is damaged; convert it to PNG or JPEG"
        ) from error
    width, height = picture.size
    picture.draft(None, (enough, enough))
    if picture.size != (width, height):
        notes.step(f"read as {picture.width} x {picture.height} pixels of {width} x {height}")
    loaded = _load(picture, name, notes)
    try:
        animated = getattr(picture, "is_animated", False)  # looks at what follows the first frame, which may be damaged
    except Exception:
        animated = False
    if animated:
        notes.step("the first of several frames was taken")
    return loaded


def _check_size(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{name} is too large: {width:,} x {height:,} pixels, the limit is {MAX_PIXELS:,}; scale it down"
        )
    if width * height == 0:
        raise ImageError(f"{name} has no pixels: {width} x {height}")


def _load(picture: Image.Image, name: str, notes: Notes) -> Image.Image:
    """Decode, and turn upright as EXIF says; a picture of the caller's is not changed."""
    _check_size(picture.width, picture.height, name)
    try:
        picture.load()
    except Exception as error:  # see _decode
        raise ImageError(
            f"{name} is truncated or damaged ({str(error) or type(error).__name__}); copy or save it again"
        ) from error
    try:
        if picture.getexif().get(ORIENTATION, 1) == 1:  # the usual case: spare a copy
            return picture
        turned = ImageOps.exif_transpose(picture)
        notes.step("turned upright, as its EXIF orientation says")
        return turned
    except Exception:  # damaged EXIF data beside sound pixels: take them as they lie
        return picture


def _plain_channels(image: Any, channels: int, notes: Notes) -> np.ndarray:
    """uint8 [H, W, channels] of an array of so many channels: nothing else has any that are no colours."""
    if not isinstance(image, np.ndarray):
        raise ImageError(
            f"this network takes {channels} plain channels, which no picture says it has: pass a NumPy array [H, W,"
            f" {channels}]; if they are colours, convert it again with an InputSpec that says so"
        )
    pixels = _bytes_of_image(image, (channels,), notes)
    return np.array(pixels).reshape(*pixels.shape[:2], channels)


def _from_array(array: np.ndarray, channels: tuple[int, ...], notes: Notes) -> Image.Image:
    pixels = _bytes_of_image(array, channels, notes)
    return Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels))


def _bytes_of_image(array: np.ndarray, channels: tuple[int, ...], notes: Notes) -> np.ndarray:
    """uint8 [H, W] or [H, W, one of `channels`]."""
    name = f"the array of {array.dtype} {array.shape}"
    if not (array.ndim == 3 and array.shape[2] in channels or array.ndim == 2 and 1 in channels):
        shapes = ["[H, W]"] * (1 in channels) + [f"[H, W, {count}]" for count in channels]
        wanted = " or ".join(filter(None, (", ".join(shapes[:-1]), shapes[-1])))
        raise ImageError(f"{name} is not one image: it must be {wanted}; {_shape_advice(array.shape, channels)}")
    _check_size(array.shape[1], array.shape[0], name)
    if isinstance(array, np.ma.MaskedArray):
        masked = int(np.ma.count_masked(array))
        if masked:
            raise ImageError(f"{name} has {masked} masked values; say what they are: pass array.filled(0), or 255")
        array = array.data
    return _bytes_of(array, name, notes)


def _shape_advice(shape: tuple[int, ...], channels: tuple[int, ...]) -> str:
    if len(shape) == 4:
        return "pass a batch as a list of images, or to Classifier.predict"
    if len(shape) == 3 and shape[0] in channels:
        return "channels come last, use np.moveaxis(array, 0, -1)"
    return "pick one image, or reshape it"


def _bytes_of(array: np.ndarray, name: str, notes: Notes) -> np.ndarray:
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
            return _from_16_bits(array, high, name, ".astype(np.uint8)", notes)
        if low < 0 or high > 255:
            raise ImageError(
                f"{name} has values from {low} to {high}; integers must be in 0..255, or be uint16: scale it, then"
                " .astype(np.uint8)"
            )
        return array.astype(np.uint8)
    raise ImageError(f"{name} has an unusable type; pass uint8, bool, or floats in 0..1")


def _from_unit_floats(array: np.ndarray, name: str) -> np.ndarray:
    low, high = float(array.min()), float(array.max())  # a NaN anywhere makes both NaN
    if not np.isfinite([low, high]).all():
        raise ImageError(f"{name} holds NaN or infinity; replace them, for instance with np.nan_to_num")
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise ImageError(
            f"{name} has values from {low:.6g} to {high:.6g}; floats must be in 0..1: "
            "divide by the largest value possible, or pass .astype(np.uint8) if they are bytes"
        )
    return _by_rows(array, lambda rows: np.rint(rows.astype(np.float32) * np.float32(255)))


def _by_rows(array: np.ndarray, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """uint8 of what `function` makes of the values, worked out in pieces: a large picture of a wide type is never held
    twice.
    """
    result = np.empty(array.shape, np.uint8)
    rows = max(1, PIECE // max(1, array[:1].size))
    for start in range(0, len(array), rows):
        result[start : start + rows] = function(array[start : start + rows])
    return result


def _from_16_bits(array: np.ndarray, high: int, name: str, to_bytes: str, notes: Notes) -> np.ndarray:
    """By the number of bits that the values need: cameras give 10, 12 or 14 in 16."""
    if 0 < high <= 255:  # either nearly black, or bytes in a wide type: nobody wants it guessed
        raise ImageError(
            f"{name} has 16 bits, but its largest value is {high} of 65535, all but black; if it holds bytes pass"
            f" {to_bytes}"
        )
    bits = next(bits for bits in (10, 12, 14, 16) if high < 1 << bits)
    full = (1 << bits) - 1
    if bits < 16 and high and not _by_rows(array, lambda rows: rows % 257 != 0).any():
        bits, full = 16, 65535  # bytes times 257 are a dark picture in all of the 16 bits
    if high:
        notes.step(f"read as {bits}-bit values, 0..{full}")
    if bits < 16 and high:
        notes.warn(
            f"the largest of its 16-bit values is {high}, so they were taken for {bits}-bit ones, 0..{full}; to say"
            f" what they are pass an array divided by the largest value possible, such as array / {full} or array /"
            " 65535"
        )
    return _by_rows(array, lambda rows: (rows.astype(np.uint32) * 255 + full // 2) // full)


def _to_8_bits(picture: Image.Image, notes: Notes) -> Image.Image:
    """Modes wider than 8 bits to "L": Pillow's own conversion would cut them off at 255."""
    name = f"the image of mode {picture.mode}"
    if picture.mode == "F":
        values = np.asarray(picture)
        # Pillow makes floats of 0..255 itself, other programs 0..1; only a black picture could be both.
        high = float(values.max())
        if not high > 1 + ROUNDING:  # also where it is NaN, which is refused below
            return Image.fromarray(_from_unit_floats(values, name))
        if not (float(values.min()) >= -0.5 and 16 < high < 255.5):
            raise ImageError(
                f"{name} has values from {values.min():.6g} to {high:.6g}, neither 0..1 nor 0..255; "
                "pass numpy.asarray of it, divided by the largest value possible"
            )
        notes.step("read as floats in 0..255")
        return Image.fromarray(_by_rows(values, lambda rows: np.rint(rows).clip(0, 255)))
    if picture.mode == "I" or picture.mode.startswith("I;16"):
        values = np.asarray(picture)
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > 65535:
            raise ImageError(
                f"{name} has values from {low} to {high}; it must be 16 bits, 0..65535: "
                "pass numpy.asarray of it, divided by the largest value possible"
            )
        return Image.fromarray(
            _from_16_bits(values, high, name, "numpy.asarray(image).astype(numpy.uint8) of it", notes)
        )
    return picture


def _is_transparent(picture: Image.Image) -> bool:
    """Whether it says how opaque its pixels are."""
    return "transparency" in picture.info or picture.mode in ("LA", "La", "PA", "RGBA", "RGBa")


def _as_rgba(picture: Image.Image) -> Image.Image:
    """RGBA; Pillow has no way there from grey with premultiplied alpha but by LA."""
    return picture.convert("LA").convert("RGBA") if picture.mode == "La" else picture.convert("RGBA")


def _with_alpha(picture: Image.Image, notes: Notes) -> Image.Image:
    """RGBA of a picture that says how opaque it is; another as it is, which converting makes opaque."""
    if not _is_transparent(picture):
        notes.step("given an opaque alpha channel, as it has none")
        return picture
    picture = _as_rgba(picture)
    if picture.getchannel("A").getextrema()[1] == 0:
        notes.warn("every pixel of the picture is transparent; save it with a background")
    return picture


def _over_background(picture: Image.Image, notes: Notes) -> Image.Image:
    """Lay transparent pixels over white or black, whichever contrasts with what is visible: ink on nothing shows as ink
    on paper.
    """
    if not _is_transparent(picture):
        return picture
    grey = picture.mode in ("L", "LA", "La")
    picture = _as_rgba(picture)
    alpha = picture.getchannel("A")
    least, most = alpha.getextrema()
    if least == 255:
        return picture.convert("L") if grey else picture
    if most == 0:
        raise ImageError("every pixel of the image is transparent; save it with a background")
    colour = "white" if ImageStat.Stat(picture.convert("L"), mask=alpha).mean[0] < 128 else "black"
    notes.step(f"transparent pixels laid over {colour}")
    rows = max(1, PIECE // picture.width)  # in pieces: the board has no room for several copies of a large picture
    for top in range(0, picture.height, rows):
        box = (0, top, picture.width, min(top + rows, picture.height))
        piece = picture.crop(box)
        picture.paste(Image.alpha_composite(Image.new("RGBA", piece.size, colour), piece), box)
    return picture.convert("L") if grey else picture
