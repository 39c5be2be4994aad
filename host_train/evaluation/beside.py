"""Two confusion matrices beside each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from host_train.evaluation.evaluate import Evaluation
from host_train.evaluation.plot import check_picture, draw_confusion
from pynq_cnn.errors import ArgumentError


def read_confusion(path: Path, classes: int) -> np.ndarray:
    """A confusion matrix of counts, int64 [classes, classes], rows are what images are, columns what they were taken
    for; numbers separated by commas or blanks. `ArgumentError` if it is none.
    """
    try:
        text = path.read_text(encoding="utf-8").replace(",", " ")
        rows = [[int(word) for word in line.split()] for line in text.splitlines() if line.strip()]
        matrix = np.array(rows, np.int64)
    except (OSError, ValueError, OverflowError) as error:
        raise ArgumentError(f"{path} cannot be read as a confusion matrix: {error}") from error
    if matrix.shape != (classes, classes) or matrix.min() < 0 or not matrix.any():
        raise ArgumentError(f"{path} must have {classes} lines of {classes} counts, not {matrix.shape}")
    return matrix


def plot_two(ours: Evaluation, theirs: np.ndarray, path: Path, titles: tuple[str, str]) -> None:
    """Write a picture of two confusion matrices, each with the accuracy that it says.

    Parameters
    ----------
    ours : Evaluation
        The one on the left.
    theirs : numpy.ndarray
        int64 [classes, classes], the other.
    path : pathlib.Path
        Of the file; its folder is made if missing.
    titles : tuple of str
        Above each, before the accuracy.
    """
    from matplotlib.figure import Figure

    check_picture(path)
    figure = Figure(figsize=(14, 6), layout="constrained")
    for axes, matrix, title in zip(figure.subplots(1, 2), (ours.confusion, theirs), titles):
        draw_confusion(figure, axes, matrix, ours.classes, title)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
