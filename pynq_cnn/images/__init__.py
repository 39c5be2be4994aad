"""From any picture to the bytes a network takes.

>>> import numpy as np
>>> from pynq_cnn.model import InputSpec
>>> spec = InputSpec(28, 28, 1, "L", (0.1307,), (0.3081,), fit="digit", invert="auto")
>>> paper = np.full((100, 80), 230, np.uint8)
>>> paper[20:80, 38:44] = 40  # one stroke of dark ink
>>> digit = to_network_input(paper, spec)
>>> digit.shape, digit.dtype, bool(digit[14, 14, 0] > 200), int(digit[0, 0, 0])
((28, 28, 1), dtype('uint8'), True, 0)
"""

from __future__ import annotations

import numpy as np

from pynq_cnn.images.crop import fit_crop, is_light
from pynq_cnn.images.digit import fit_digit
from pynq_cnn.images.reading import ENOUGH, MAX_PIXELS, ImageLike, read_pixels
from pynq_cnn.model import InputSpec

__all__ = ["MAX_PIXELS", "ImageLike", "to_network_input"]


def to_network_input(image: ImageLike, spec: InputSpec) -> np.ndarray:
    """Make one picture into a network's input.

    A picture that has the network's size already is taken byte for byte; only when `spec.invert` is "auto" and its border is
    light is it inverted. Any other is fitted as `spec.fit` says: "digit" finds the stroke in a drawing or a photo and places it
    as MNIST's digits are placed, "crop" cuts the middle to the network's aspect and scales it.

    Parameters
    ----------
    image : path, bytes, PIL.Image.Image or numpy.ndarray
        A file's path or content in any format Pillow reads, a Pillow image of any mode, or an array [H, W], [H, W, 1] (grey),
        [H, W, 3] (RGB) or [H, W, 4] (RGBA): uint8, bool, other integers in 0..255, uint16 as 16 bits, or floats in 0..1.
        EXIF orientation is applied. Transparent pixels are laid over white or black, whichever contrasts with the visible ones.
        At most `MAX_PIXELS` pixels (of a JPEG, whose decoder can leave out detail: as many as Pillow opens).
    spec : InputSpec
        What the network takes.

    Returns
    -------
    numpy.ndarray
        uint8 [spec.height, spec.width, spec.channels], contiguous, a copy.

    Raises
    ------
    ImageError
        If the picture cannot be read, or nothing is found on it; says what to do.
    """
    pixels = read_pixels(image, spec.channels, max(ENOUGH, spec.height, spec.width))
    if spec.fit == "digit" and spec.channels == 1:
        return fit_digit(pixels[:, :, 0], spec.height, spec.width, invert=spec.invert)[:, :, None]
    fitted = fit_crop(pixels, spec.height, spec.width)
    if spec.invert == "auto" and is_light(fitted):
        fitted = 255 - fitted
    return np.ascontiguousarray(fitted[:, :, ::-1] if spec.color == "BGR" else fitted)
