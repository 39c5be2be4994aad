"""A list of the images that were taken for another class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from host_train.evaluation.evaluate import Evaluation
from host_train.files import write_csv


def write_wrong(result: Evaluation, labels: np.ndarray, names: Sequence[object], path: Path) -> int:
    """Write a CSV file with a line for each image that was taken for another class: `image`, `label`, `answer`.

    Parameters
    ----------
    result : Evaluation
        Over the images.
    labels : numpy.ndarray
        int64 [n], theirs.
    names : sequence
        Name of each image: its file, or its number in the data set.
    path : pathlib.Path
        Replaced if it is there.

    Returns
    -------
    int
        How many there are.
    """
    wrong = np.flatnonzero(result.answers != labels)
    rows = [(names[i], result.classes[labels[i]], result.classes[result.answers[i]]) for i in wrong]
    write_csv(path, ("image", "label", "answer"), rows)
    return len(wrong)
