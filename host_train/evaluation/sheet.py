"""The images that were taken for another class, on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from host_train.data import Split
from host_train.evaluation.evaluate import Evaluation
from host_train.evaluation.plot import check_picture
from host_train.titles import set_title
from pynq_cnn.model.colors import as_shown

MOST = 100  # images on a sheet
ACROSS = 10
NAME = 26  # letters of it that have room above an image


def write_sheet(
    result: Evaluation, split: Split, names: Sequence[object], path: Path, title: str, color: str = "RGB"
) -> int:
    """Write a picture of the mistaken images, each with its name, what it is and what it was taken for.

    Parameters
    ----------
    result : Evaluation
        Over the images.
    split : Split
        Images uint8 [n, height, width, channels] as the network takes them, and their labels.
    names : sequence
        Name of each image: its file, or its number in the data set. Of long ones the end is shown.
    path : pathlib.Path
        Of the file; its folder is made if missing.
    title : str
        Above them.
    color : str
        What the images' channels are, as of `InputSpec`.

    Returns
    -------
    int
        How many are on it: `MOST` at most, the first ones.

    Raises
    ------
    ArgumentError
        If matplotlib does not write pictures of this suffix.
    """
    check_picture(path)
    wrong = np.flatnonzero(result.answers != split.labels)
    shown = wrong[:MOST]
    rows = max(1, -(-len(shown) // ACROSS))
    figure = Figure(figsize=(ACROSS * 1.25, rows * 1.5 + 0.6), layout="constrained")
    more = f", the first {len(shown)} of them" if len(shown) < len(wrong) else ""
    set_title(figure, f"{title}: {len(wrong)} of {len(split)} mistaken{more}")
    grid = figure.subplots(rows, ACROSS, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, place in zip(grid, shown):
        axes.imshow(as_shown(split.images[place], color), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        label, answer = result.classes[split.labels[place]], result.classes[result.answers[place]]
        name = str(names[place])
        name = name if len(name) <= NAME else f"…{name[1 - NAME :]}"
        axes.set_title(f"{name}\n{label} → {answer}", fontsize=6, parse_math=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return len(shown)
