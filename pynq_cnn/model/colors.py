"""Channels of an input: colours in an order, with or without alpha, or nothing that a picture has."""

from __future__ import annotations

import numpy as np

COLORS = {"L": 1, "LA": 2, "RGB": 3, "BGR": 3, "RGBA": 4, "BGRA": 4}  # channels of each order
PLAIN = "plain"  # any number of channels that are no colours


def has_alpha(color: str) -> bool:
    """Whether the last channel is how opaque a pixel is.

    >>> [name for name in (*COLORS, PLAIN) if has_alpha(name)]
    ['LA', 'RGBA', 'BGRA']
    """
    return color in ("LA", "RGBA", "BGRA")


def mode_of(color: str) -> str:
    """Pillow's mode of the same channels with red first.

    >>> mode_of("BGRA"), mode_of("L")
    ('RGBA', 'L')
    """
    return color.replace("BGR", "RGB")


def reordered(pixels: np.ndarray, color: str) -> np.ndarray:
    """Pixels [..., channels] of `mode_of(color)` in the order of `color`, or the other way round.

    >>> reordered(np.array([1, 2, 3, 9]), "BGRA").tolist()
    [3, 2, 1, 9]
    """
    return pixels[..., [2, 1, 0, 3][: pixels.shape[-1]]] if "BGR" in color else pixels


def as_shown(pixels: np.ndarray, color: str) -> np.ndarray:
    """An input as a picture for people.

    Parameters
    ----------
    pixels : numpy.ndarray
        uint8 [height, width, channels].
    color : str
        What these are.

    Returns
    -------
    numpy.ndarray
        uint8: [height, width] in grey, [height, width, 3] in RGB or [height, width, 4] in RGBA. Plain channels are in
        grey, side by side: [height, channels * width].

    Examples
    --------
    >>> as_shown(np.array([[[7, 255]]], np.uint8), "LA").tolist(), as_shown(np.array([[[7, 255]]], np.uint8), PLAIN)
    ([[[7, 7, 7, 255]]], array([[  7, 255]], dtype=uint8))
    """
    if color == PLAIN or pixels.shape[2] == 1:
        return np.ascontiguousarray(np.moveaxis(pixels, 2, 1).reshape(len(pixels), -1))
    if color == "LA":
        return pixels[:, :, [0, 0, 0, 1]]
    return np.ascontiguousarray(reordered(pixels, color))
