"""Whether what was found on a picture looks like one digit. The rates of right and false alarms are in
benchmarks/README.md.
"""

from __future__ import annotations

import numpy as np

PART = 0.1  # a component with less than this part of the pixels of the largest is dirt
APART = 0.5  # from here on two components are two digits
WIDE = 1.7  # width over height; 99 of 100 digits have less
EDGE = 0.06  # part of the picture's edge that marks cover; where paper is left at two sides, a digit's hardly do
TANGLE = (
    6.0  # length of the strokes over the longer side; of MNIST's digits at most 3.6, of a checkerboard 22, of noise 12
)
BLOT = 0.4  # width of the strokes over the longer side; of a filled square 0.64, of bold markers up to 0.4


def doubts(parts: list[np.ndarray], shape: tuple[int, ...]) -> list[str]:
    """Reasons why marks may not be one digit; none as a rule.

    Parameters
    ----------
    parts : list of numpy.ndarray
        int [n, 2] each: row and column of the pixels of a connected component.
    shape : tuple of int
        Height and width of the picture.

    Returns
    -------
    list of str
        Each for people, with what to do.

    Examples
    --------
    >>> from pynq_cnn.images.components import components
    >>> page = np.zeros((20, 30), bool)
    >>> page[4:16, 5:7] = True
    >>> doubts(components(page), page.shape)
    []
    >>> page[4:16, 20:22] = True
    >>> doubts(components(page), page.shape)
    ['the picture may show more than one digit, the answer is for all of them as one: give a picture of each']
    """
    largest = max(map(len, parts))
    parts = [part for part in parts if len(part) >= PART * largest]
    mask = np.zeros(shape, bool)
    mask[tuple(np.concatenate(parts).T)] = True
    boxes = np.array([[part.min(0), part.max(0) + 1] for part in parts])  # [n, first or last, row or column]
    height, width = boxes[:, 1].max(0) - boxes[:, 0].min(0)
    found = []
    if max((_apart(a, b) for i, a in enumerate(boxes) for b in boxes[:i]), default=0.0) > APART:
        found.append(
            "the picture may show more than one digit, the answer is for all of them as one: give a picture of each"
        )
    elif width > WIDE * height:
        found.append("what was found is much wider than high: it may be several digits that touch, or lie on its side")
    margins = np.concatenate([boxes[:, 0].min(0), np.array(shape) - boxes[:, 1].max(0)])
    on_edge = np.count_nonzero(np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]))
    if sorted(margins)[2] > 0.1 * max(shape) and on_edge > EDGE * 2 * sum(shape):
        found.append(
            "what was found lies along the edge of the picture: show the whole digit, and some paper around it"
        )
    if mask.sum() / stroke_width(mask) > TANGLE * max(height, width):
        found.append("what was found has far more strokes than a digit: cut the picture to the digit, on plain paper")
    if stroke_width(mask) > BLOT * max(height, width):
        found.append(
            "what was found is a blot rather than a digit's strokes: write with a thinner pen, or cut the picture to"
            " the digit"
        )
    return found


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    """How much two boxes [first or last, row or column] are like two digits, 0..1: of one height, and side by side or
    one above the other.

    The bar of a 5 that is apart is much lower than the rest; the halves of a broken digit lie around each other.
    """
    size_a, size_b = a[1] - a[0], b[1] - b[0]
    heights = min(size_a[0], size_b[0]) / max(size_a[0], size_b[0])
    overlap = np.maximum(0, np.minimum(a[1], b[1]) - np.maximum(a[0], b[0])) / np.minimum(size_a, size_b)
    return float(heights * (1 - overlap.min()))


def stroke_width(mask: np.ndarray) -> float:
    """Width of the strokes of a mask in pixels: twice the area over the perimeter, as a line has two long sides."""
    padded = np.pad(mask, 1).astype(np.int8)
    steps = np.abs(np.diff(padded, axis=0)).sum() + np.abs(np.diff(padded, axis=1)).sum()
    # Stairs are 4 / pi times as long as the line they follow, on average.
    return float(2 * mask.sum() / max(1.0, steps * np.pi / 4))
