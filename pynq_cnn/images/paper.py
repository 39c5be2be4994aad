"""The paper under the ink: its brightness at every point, and the threshold between the two."""

from __future__ import annotations

import numpy as np

# A closing fills what is narrower than this part of the shorter side. Strokes are; shadows are not.
WIDEST_STROKE = 0.3


def otsu(values: np.ndarray) -> tuple[float, float, float]:
    """The threshold that separates values into two classes best.

    Parameters
    ----------
    values : numpy.ndarray
        Floats in 0..1, any shape, at least one.

    Returns
    -------
    threshold, low, high : float
        The threshold with the largest variance between the classes (Otsu, "A Threshold Selection Method from Gray-Level
        Histograms", 1979), and the classes' means.

    Examples
    --------
    >>> [round(v, 2) for v in otsu(np.array([0.1, 0.1, 0.2, 0.9]))]
    [0.55, 0.13, 0.9]
    """
    counts, edges = np.histogram(values, bins=256, range=(0, 1))
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * (edges[:-1] + edges[1:]) / 2)
    low, high = sums / np.maximum(below, 1), (sums[-1] - sums) / np.maximum(above, 1)
    between = below.astype(float) * above * (high - low) ** 2
    best = np.flatnonzero(between == between.max())
    middle = best[len(best) // 2]  # all thresholds inside a gap are equally good
    return float(edges[middle + 1]), float(low[middle]), float(high[middle])


def slope(grey: np.ndarray) -> np.ndarray:
    """How light that comes from one side falls off over the brightness [h, w]: float64 [h, w], 1 in the middle.

    From each pixel to the next it changes by one factor, down and across: the median over the picture, on which neither
    strokes nor the edge of a shadow have a say.

    >>> page = np.full((16, 16), 200.0)
    >>> page[:, 5:] = 120  # in the shade
    >>> bool((slope(page) == 1).all())
    True
    """
    light, logs = np.zeros(grey.shape), np.log(np.maximum(grey, 1))
    for axis, n in enumerate(grey.shape):
        apart = max(1, n // 8)
        if n > apart:
            rise = float(np.median(np.moveaxis(logs, axis, 0)[apart:] - np.moveaxis(logs, axis, 0)[:-apart])) / apart
            light += np.expand_dims(rise * (np.arange(n) - (n - 1) / 2), 1 - axis)
    return np.exp(light)


def _sliding(values: np.ndarray, window: int, function: np.ufunc) -> np.ndarray:
    """`function`, a minimum or maximum, over a square window around each value; edges are repeated outwards."""
    for _ in range(2):  # down, then across
        values = np.pad(values, ((window // 2, window // 2), (0, 0)), mode="edge")
        reach = 1  # how many rows a row is the minimum or maximum of
        while reach < window:
            step = min(reach, window - reach)
            values = function(values[:-step], values[step:])
            reach += step
        values = values.T
    return values


def paper_under(grey: np.ndarray) -> np.ndarray:
    """The brightness of the paper without the dark ink on it.

    A grey closing (the minimum of the maximum over a window wider than strokes) follows the light, even over the edge
    of a shadow, and fills strokes in. The slope of the light is taken out before, as a closing lifts it at the edges of
    the picture.

    Parameters
    ----------
    grey : numpy.ndarray
        float32 [h, w], 0..255, small: what is looked for is coarse.

    Returns
    -------
    numpy.ndarray
        float32 [h, w], at least 1.

    Examples
    --------
    >>> page = np.full((30, 40), 200, np.float32)
    >>> page[10:20, 20:22] = 30
    >>> bool(np.abs(paper_under(page) - 200).max() < 10)
    True
    """
    light = slope(grey)
    window = max(3, int(min(grey.shape) * WIDEST_STROKE)) | 1
    closed = _sliding(_sliding(grey / light, window, np.maximum), window, np.minimum)
    # Of the darkest neighbours: a plain mean is lighter than the shade where that begins, and its edge would be ink.
    h, w = closed.shape
    around = np.pad(_sliding(closed, 3, np.minimum), 1, mode="edge")
    smooth = sum(around[i : i + h, j : j + w] for i in range(3) for j in range(3)) / 9
    return np.maximum(smooth * light, 1).astype(np.float32)
