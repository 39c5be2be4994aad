"""From any picture to the bytes a network takes.

>>> import numpy as np
>>> from pynq_cnn.model import InputSpec
>>> spec = InputSpec(28, 28, 1, "L", (0.1307,), (0.3081,), fit="digit", invert="auto")
>>> paper = np.full((100, 80), 230, np.uint8)
>>> paper[20:80, 38:44] = 40  # one stroke of dark ink
>>> digit = prepare(paper, spec)
>>> digit.pixels.shape, digit.pixels.dtype, bool(digit.pixels[14, 14, 0] > 200), int(digit.pixels[0, 0, 0])
((28, 28, 1), dtype('uint8'), True, 0)
"""

from __future__ import annotations

import os
from time import perf_counter

import numpy as np

from pynq_cnn.errors import ImageError
from pynq_cnn.images.crop import fit_crop, is_light
from pynq_cnn.images.digit import fit_digit
from pynq_cnn.images.prepared import Notes, Prepared
from pynq_cnn.images.reading import ENOUGH, MAX_PIXELS, ImageLike, read_pixels
from pynq_cnn.model import InputSpec
from pynq_cnn.model.colors import has_alpha, reordered

__all__ = ["MAX_PIXELS", "ImageLike", "Prepared", "prepare", "to_network_input"]


def prepare(image: ImageLike, spec: InputSpec) -> Prepared:
    """Make one picture into a network's input, and say what was done to it.

    As `spec.fit` says, "digit" finds the stroke in a drawing or a photo and places it as MNIST's digits are placed; an
    image that has the network's size and is placed so on pure black already is taken byte for byte. "crop" cuts the
    middle to the network's aspect and scales it; the network's own size is taken byte for byte. Only where
    `spec.invert` is "auto" are dark strokes, or a picture with a light border, inverted.

    Parameters
    ----------
    image : path, bytes, PIL.Image.Image or numpy.ndarray
        A file's path or content in any format Pillow reads, a Pillow image of any mode, or an array [H, W], [H, W, 1]
        (grey), [H, W, 3] (RGB; OpenCV's are BGR: pass array[..., ::-1]) or [H, W, 4] (RGBA): uint8, bool, other
        integers in 0..255, or floats in 0..1. uint16, and files of 16 bits, are read by the bits that the largest value
        needs (10, 12, 14 or 16): fewer than 16 are a warning. EXIF orientation is applied. Transparent pixels are laid
        over white or black, whichever contrasts with the visible ones. At most `MAX_PIXELS` pixels (of a JPEG, whose
        decoder can leave out detail: as many as Pillow opens). What `prepare` has given back for the same `spec` is
        passed through.
    spec : InputSpec
        The network's input.

    Returns
    -------
    Prepared
        Pixels (a copy), steps, warnings.

    Raises
    ------
    ImageError
        If the picture cannot be read, or nothing is found on it; names the file, and says what to do.
    """
    if isinstance(image, Prepared):
        if image.spec != spec:
            raise ImageError(
                f"this picture was prepared for {image.spec}, not for {spec}; prepare it again for this network"
            )
        return image
    start = perf_counter()
    notes = Notes()
    try:
        pixels = _fitted(read_pixels(image, spec, max(ENOUGH, spec.height, spec.width), notes), spec, notes)
    except ImageError as error:
        if not isinstance(image, (str, os.PathLike)) or repr(str(image)) in str(error):
            raise
        raise ImageError(f"{str(image)!r}: {error}") from error
    return Prepared(
        pixels, spec, tuple(notes.steps) or ("taken as it is",), tuple(notes.warnings), perf_counter() - start
    )


def to_network_input(image: ImageLike, spec: InputSpec) -> np.ndarray:
    """The pixels of `prepare` alone, uint8 [spec.height, spec.width, spec.channels]."""
    return prepare(image, spec).pixels


def _fitted(pixels: np.ndarray, spec: InputSpec, notes: Notes) -> np.ndarray:
    """uint8 [height, width, channels] of `spec`, of uint8 [H, W, channels] in the order of Pillow's modes."""
    if spec.fit == "digit" and spec.color == "L":
        return fit_digit(pixels[:, :, 0], spec.height, spec.width, spec.invert, notes)[:, :, None]
    alpha = has_alpha(spec.color)
    fitted = fit_crop(pixels, spec.height, spec.width, notes, alpha)
    colours = fitted[:, :, :-1] if alpha else fitted
    if spec.invert == "auto" and is_light(colours):
        colours[:] = 255 - colours
        notes.step("inverted, as its border is light")
    return np.ascontiguousarray(reordered(fitted, spec.color))
