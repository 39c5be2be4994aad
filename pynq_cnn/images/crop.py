"""Pictures of things: cut the middle to the network's aspect, scale it."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageOps

from pynq_cnn.images.prepared import Notes

# Pillow 9.0, which Ubuntu 22.04 and the board have, keeps the names in Image.
RESAMPLING: Any = getattr(Image, "Resampling", Image)
PLAIN = 8  # bytes: less between the darkest and the lightest pixel, and there is nothing on the picture
FEW = 8  # pixels: of a smaller picture nothing can be known


def is_light(pixels: np.ndarray) -> bool:
    """Whether the outermost pixels of uint8 [H, W] or [H, W, C] are light: their median is 128 or more, and hardly one
    is pure black.

    Light paper has no pure black; what reaches over most of the edge of a data set's black ground, as 2 of
    Fashion-MNIST's images do, leaves some of it.

    >>> is_light(np.full((3, 3), 255, np.uint8)), is_light(np.zeros((1, 1), np.uint8))
    (True, False)
    """
    inner = np.zeros(pixels.shape[:2], bool)
    inner[1:-1, 1:-1] = True
    edge = pixels[~inner]
    return bool(np.median(edge) >= 128 and np.mean(edge == 0) < 0.05)


def fit_crop(
    pixels: np.ndarray, height: int, width: int, notes: Notes | None = None, alpha: bool = False
) -> np.ndarray:
    """Cut the largest centred part of the aspect `height` : `width`, and scale it with antialiasing.

    Parameters
    ----------
    pixels : numpy.ndarray
        uint8 [H, W, C].
    height, width : int
        Size wanted.
    notes : Notes, optional
        Steps and doubts are written down here.
    alpha : bool
        Whether the last of 2 or 4 channels is alpha: a colour then counts as much as it is opaque.

    Returns
    -------
    numpy.ndarray
        uint8 [height, width, C], a copy; the same bytes where the size fits already.
    """
    notes = Notes() if notes is None else notes
    have_height, have_width, channels = pixels.shape
    if np.ptp(pixels[:, :, :-1] if alpha else pixels) < PLAIN:
        notes.warn("the picture is of one brightness all over; if its values were scaled down, scale them to 0..255")
    if (have_height, have_width) == (height, width):
        return pixels.copy()
    scale = min(have_height / height, have_width / width)
    across, down = round(scale * width), round(scale * height)
    if (across, down) != (have_width, have_height):
        left, top = round((have_width - scale * width) / 2), round((have_height - scale * height) / 2)
        notes.step(f"cropped to {across} x {down} pixels at ({left}, {top}) of {have_width} x {have_height}")
        if across * down < have_width * have_height / 2:
            notes.warn("less than half of the picture is looked at, its middle: cut the picture to its subject")
    notes.step(f"scaled from {across} x {down} to {width} x {height}")
    if min(have_height, have_width) < FEW <= min(height, width):
        notes.warn("the picture has too few pixels to be read safely")
    if alpha or channels == 3:
        return np.array(_scaled(pixels, height, width))
    return np.stack([_scaled(pixels[:, :, channel], height, width) for channel in range(channels)], 2)


def _scaled(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(ImageOps.fit(picture, (width, height), RESAMPLING.BICUBIC))
