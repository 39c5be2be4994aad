"""A small part of a test set."""

from __future__ import annotations

import numpy as np

from host_train.data.dataset import Arrays, Split
from pynq_cnn.errors import ArgumentError


def take_sample(test: Split, classes: int, per_class: int, seed: int) -> Arrays:
    """As many images of each class, in the test set's order.

    Parameters
    ----------
    test : Split
        To choose from.
    classes : int
        How many there are.
    per_class : int
        Images of each.
    seed : int
        Chooses them.

    Returns
    -------
    dict
        `images` uint8 [n, height, width] or, in colour, [n, height, width, 3]; `labels` uint8 [n]; `indices` int32 [n]
        in the test set.

    Raises
    ------
    ArgumentError
        If a class has fewer images.

    Examples
    --------
    >>> split = Split(np.zeros((6, 1, 1, 1), np.uint8), np.array([0, 1, 0, 1, 0, 1]))
    >>> take_sample(split, 2, 2, seed=0)["labels"].tolist().count(1)
    2
    """
    if per_class < 1:
        raise ArgumentError(f"per_class must be at least 1, not {per_class}")
    generator = np.random.default_rng(seed)
    chosen = []
    for label in range(classes):
        of_class = np.flatnonzero(test.labels == label)
        if len(of_class) < per_class:
            raise ArgumentError(f"class {label} has {len(of_class)} test images, fewer than the {per_class} asked for")
        chosen.append(generator.choice(of_class, per_class, replace=False))
    indices = np.sort(np.concatenate(chosen))
    images = test.images[indices]
    if images.shape[3] == 1:
        images = images[..., 0]
    return {"images": images, "labels": test.labels[indices].astype(np.uint8), "indices": indices.astype(np.int32)}
