"""The confusion matrix as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from host_train.evaluation.evaluate import Evaluation
from pynq_cnn.errors import ArgumentError


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
    errors = result.confusion / np.maximum(result.confusion.sum(1, keepdims=True), 1)
    np.fill_diagonal(errors, 0)  # the right answers would outshine everything else
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots()
    shown = axes.imshow(100 * errors, cmap="Oranges", vmin=0)
    for (row, column), count in np.ndenumerate(result.confusion):
        if count:
            colour = "white" if errors[row, column] > 0.6 * errors.max() else "black"
            weight = "bold" if row == column else "normal"
            axes.text(column, row, str(count), ha="center", va="center", fontsize=8, fontweight=weight, color=colour)
    ticks = range(len(result.classes))
    axes.set_xticks(
        ticks, result.classes, rotation=0 if max(map(len, result.classes)) < 3 else 45, ha="center", parse_math=False
    )
    axes.set_yticks(ticks, result.classes, parse_math=False)
    axes.set(xlabel="taken for", ylabel="is")
    # Names of the user's may have a $.
    axes.set_title(f"{title}: {100 * result.top1:.2f} % of {result.images}", parse_math=False)
    figure.colorbar(shown, label="mistaken, % of the class", shrink=0.8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
