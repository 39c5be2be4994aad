"""A training set divided: what is trained on, and what chooses the best epoch."""

from __future__ import annotations

import numpy as np

from host_train.data.dataset import Split
from pynq_cnn.errors import ArgumentError


def hold_back(split: Split, count: int, seed: int) -> tuple[Split, Split]:
    """Divide the training set into what is trained on and `count` images, chosen by `seed`, to choose the best epoch
    by.

    Examples
    --------
    >>> train, validation = hold_back(Split(np.zeros((10, 1, 1, 1), np.uint8), np.arange(10)), 3, seed=0)
    >>> len(train), len(validation), sorted(np.concatenate([train.labels, validation.labels])) == list(range(10))
    (7, 3, True)

    Raises
    ------
    ArgumentError
        If nothing would be left to train on.
    """
    if not 1 <= count < len(split):
        raise ArgumentError(
            f"validation must be from 1 to {len(split) - 1} of the {len(split)} training images, not {count}"
        )
    order = np.random.default_rng(seed).permutation(len(split))
    return split[np.sort(order[count:])], split[np.sort(order[:count])]
