"""The confusion matrix as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from host_train.evaluation.evaluate import Evaluation
from host_train.titles import wrapped
from pynq_cnn.errors import ArgumentError

PART = 0.85  # of its column is as wide as a title may be: to the right are the colours


def check_picture(path: Path) -> None:
    """`ArgumentError` if matplotlib does not write pictures of this suffix."""
    known = sorted(Figure().canvas.get_supported_filetypes())
    if path.suffix.lower().removeprefix(".") not in known:
        raise ArgumentError(
            f"{path} must be the name of a picture, such as {path.stem}.png; its suffix may be {', '.join(known)}"
        )


def plot_confusion(result: Evaluation, path: Path, title: str) -> None:
    """Write a picture of the confusion matrix: every count as a number, coloured by how large a part of its class is
    mistaken.

    Parameters
    ----------
    result : Evaluation
        The evaluation to draw.
    path : pathlib.Path
        Of the file; its folder is made if missing.
    title : str
        Above it, before the accuracy.

    Raises
    ------
    ArgumentError
        If matplotlib does not write pictures of this suffix.
    """
    check_picture(path)
    figure = Figure(figsize=(7, 6), layout="constrained")
    draw_confusion(figure, figure.subplots(), result.confusion, result.classes, title)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def draw_confusion(figure: Figure, axes: Any, confusion: np.ndarray, classes: tuple[str, ...], title: str) -> None:
    """Draw counts int64 [classes, classes] into `axes`, under a title with the accuracy that they say."""
    errors = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    np.fill_diagonal(errors, 0)  # the right answers would outshine everything else
    shown = axes.imshow(100 * errors, cmap="Oranges", vmin=0)
    for (row, column), count in np.ndenumerate(confusion):
        if count:
            colour = "white" if errors[row, column] > 0.6 * errors.max() else "black"
            weight = "bold" if row == column else "normal"
            axes.text(column, row, str(count), ha="center", va="center", fontsize=8, fontweight=weight, color=colour)
    ticks = range(len(classes))
    axes.set_xticks(ticks, classes, rotation=0 if max(map(len, classes)) < 3 else 45, ha="center", parse_math=False)
    axes.set_yticks(ticks, classes, parse_math=False)
    axes.set(xlabel="taken for", ylabel="is")
    images = int(confusion.sum())
    columns = axes.get_subplotspec().get_gridspec().ncols
    wide, right = PART * figure.get_figwidth() / columns, f"{100 * confusion.trace() / images:.2f} % of {images}"
    whole = f"{title}: {right}"
    if wrapped(whole, wide) != whole:
        whole = f"{wrapped(f'{title}:', wide)}\n{right}"
    axes.set_title(whole, parse_math=False)  # names of the user's may have a $
    figure.colorbar(shown, ax=axes, label="mistaken, % of the class", shrink=0.8)
