"""Pictures of things: cut the middle to the network's aspect, scale it."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

RESAMPLING: Any = getattr(Image, "Resampling", Image)  # Pillow 9.0, which Ubuntu 22.04 and the board have, keeps the names in Image


def is_light(pixels: np.ndarray) -> bool:
    """Whether the outermost pixels of uint8 [H, W] or [H, W, C] are light: their median is 128 or more.

    >>> is_light(np.full((3, 3), 255, np.uint8)), is_light(np.zeros((1, 1), np.uint8))
    (True, False)
    """
    inner = np.zeros(pixels.shape[:2], bool)
    inner[1:-1, 1:-1] = True
    return bool(np.median(pixels[~inner]) >= 128)


def fit_crop(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Cut the largest centred part of the aspect `height` : `width`, and scale it with antialiasing.

    Parameters
    ----------
    pixels : numpy.ndarray
        uint8 [H, W, C], C = 1 or 3.
    height, width : int
        Size wanted.

    Returns
    -------
    numpy.ndarray
        uint8 [height, width, C], a copy; the same bytes where the size fits already.
    """
    have_height, have_width, channels = pixels.shape
    if (have_height, have_width) == (height, width):
        return pixels.copy()
    scale = min(have_height / height, have_width / width)
    top, left = max(0.0, have_height - scale * height) / 2, max(0.0, have_width - scale * width) / 2  # rounding may leave -1e-16
    picture = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
    box = (left, top, have_width - left, have_height - top)
    return np.array(picture.resize((width, height), RESAMPLING.BICUBIC, box=box)).reshape(height, width, channels)
