"""Connected components of a small mask."""

from __future__ import annotations

import numpy as np


def components(mask: np.ndarray) -> list[np.ndarray]:
    """The 8-connected components of a mask, by runs along rows and union-find.

    Parameters
    ----------
    mask : numpy.ndarray
        bool [h, w].

    Returns
    -------
    list of numpy.ndarray
        int [n, 2] each: row and column of its pixels. In the order of their first pixels.

    Examples
    --------
    >>> [c.tolist() for c in components(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1]], bool))]
    [[[0, 0], [1, 1]], [[3, 2]]]
    """
    h, w = mask.shape
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    stops = np.nonzero(edges == -1)[1]
    parent = list(range(len(rows)))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = parent[parent[run]]
            run = parent[run]
        return run

    first = np.searchsorted(rows, np.arange(h + 1))  # the runs of row r are first[r] .. first[r + 1] - 1
    begin, end = starts.tolist(), stops.tolist()
    for r in range(1, h):
        above, here = int(first[r - 1]), int(first[r])
        while above < first[r] and here < first[r + 1]:
            if begin[above] <= end[here] and begin[here] <= end[above]:  # they touch, if only at a corner
                a, b = sorted((root(above), root(here)))
                parent[b] = a
            if end[above] < end[here]:
                above += 1
            else:
                here += 1
    labels = np.array([root(run) for run in range(len(rows))], np.intp)
    pixels = np.argwhere(mask)  # in the order of the runs
    of_pixel = np.repeat(labels, stops - starts)
    order = np.argsort(of_pixel, kind="stable")
    cuts = np.flatnonzero(np.diff(of_pixel[order])) + 1
    return np.split(pixels[order], cuts) if len(pixels) else []
