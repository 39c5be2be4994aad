"""Images in another size than a data set has, as bytes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from host_train.data.dataset import Dataset, Split
from pynq_cnn.images.crop import fit_crop


def resize_split(split: Split, height: int, width: int) -> Split:
    """`split` with its images scaled to `height` x `width`, as `pynq_cnn` scales a picture for a network of that input.

    So what is trained, validated, calibrated and tested with are the bytes that the network gets from the image's file.

    Examples
    --------
    >>> split = Split(np.full((2, 28, 28, 1), 7, np.uint8), np.array([0, 1]))
    >>> resized = resize_split(split, 112, 112)
    >>> resized.images.shape, int(resized.images.min()), resized.images.dtype
    ((2, 112, 112, 1), 7, dtype('uint8'))
    >>> resize_split(split, 28, 28) is split
    True
    """
    if split.images.shape[1:3] == (height, width):
        return split
    images = np.empty((len(split), height, width, split.images.shape[3]), np.uint8)
    for image, made in zip(split.images, images):
        made[:] = fit_crop(image, height, width)
    return replace(split, images=images)


def resize_dataset(dataset: Dataset, height: int, width: int) -> Dataset:
    """`dataset` with the images of both parts in that size."""
    spec = replace(dataset.spec, shape=(height, width, dataset.spec.shape[2]))
    train, test = (resize_split(split, height, width) for split in (dataset.train, dataset.test))
    return replace(dataset, spec=spec, train=train, test=test)
