"""A data set as a network wants it that was not made here: its order of colours, and of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from host_train.data import Split
from pynq_cnn.model import InputSpec
from pynq_cnn.model.colors import reordered


def match_colours(split: Split, spec: InputSpec) -> Split:
    """`split`, whose colours are RGB, in the order of colours of a network's input.

    Examples
    --------
    >>> split = Split(np.array([[[[1, 2, 3]]]], np.uint8), np.array([0]))
    >>> match_colours(split, InputSpec(1, 1, 3, "BGR", (0, 0, 0), (1, 1, 1))).images.tolist()
    [[[[3, 2, 1]]]]
    """
    if split.images.shape[3] != spec.channels:  # which is refused in evaluating
        return split
    return replace(split, images=np.ascontiguousarray(reordered(split.images, spec.color)))


def match_classes(split: Split, classes: Sequence[str], own: Sequence[str]) -> tuple[Split, tuple[str, ...], list[str]]:
    """`split` with the labels that a network has for its classes.

    Parameters
    ----------
    split : Split
        Labelled by the data set.
    classes : sequence of str
        The data set's, in its order.
    own : sequence of str
        The network's, in its own order.

    Returns
    -------
    split : Split
        With the network's labels where its classes are those of the data set in another order.
    classes : tuple of str
        Names of the labels: the network's then, the data set's otherwise.
    notes : list of str
        Remarks for the reader.

    Examples
    --------
    >>> split = Split(np.zeros((3, 1, 1, 1), np.uint8), np.array([0, 1, 2]))
    >>> matched, names, notes = match_classes(split, ["cat", "ant", "bee"], ["ant", "bee", "cat"])
    >>> matched.labels.tolist(), names, notes
    ([2, 0, 1], ('ant', 'bee', 'cat'), [])
    >>> match_classes(split, ["cat", "ant", "bee"], ["Ant", "Bee", "Cat"])[0].labels.tolist()
    [2, 0, 1]
    """
    for plain in (str, str.casefold):
        ours, theirs = [plain(name) for name in own], [plain(name) for name in classes]
        if sorted(ours) == sorted(theirs) and len(set(ours)) == len(ours):
            order = np.array([ours.index(name) for name in theirs])
            return replace(split, labels=order[split.labels]), tuple(own), []
    numbered = list(own) == [str(i) for i in range(len(own))]  # the network has no names for them
    if len(own) != len(classes):
        return split, tuple(classes), []  # which is refused in evaluating
    if numbered:
        return split, tuple(classes), ["its classes have no names and are taken to be in the data set's order"]
    differing = [name for name in own if name not in classes]
    told = (
        f"its classes have names that the data set has not ({', '.join(differing[:3])}) and are taken to be in the data"
        " set's order"
    )
    return split, tuple(classes), [told]
