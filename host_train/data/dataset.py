"""A data set as NumPy arrays, and the description it is checked against."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pynq_cnn.errors import DatasetError

Arrays = dict[str, np.ndarray]

COLORS = {1: "L", 3: "RGB"}  # what images of so many channels are, as of `InputSpec`

ARRAY_NAMES = ("train_images", "train_labels", "test_images", "test_labels")


@dataclass(frozen=True, eq=False)
class Split:
    """Images with their labels.

    Parameters
    ----------
    images : numpy.ndarray
        uint8 [n, height, width, channels].
    labels : numpy.ndarray
        int64 [n], indices into the data set's classes.
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: slice | np.ndarray) -> Split:
        return Split(self.images[index], self.labels[index])


@dataclass(frozen=True)
class DatasetSpec:
    """Description of a data set, known before it is read.

    Parameters
    ----------
    name : str
        As on the command line, and of its file in the cache.
    title : str
        As people write it.
    shape : tuple of int
        (height, width, channels) of an image.
    classes : tuple of str
        Names, in the order of the labels.
    mean, std : tuple of float
        Per channel, of the training images in 0..1.
    digests : dict
        SHA-256 of the original's arrays in C order: uint8 [n, height, width, channels] images and uint8 [n] labels.
        They do not depend on the kind of file that the data came in.
    """

    name: str
    title: str
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    digests: dict[str, str]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in memory.

    Parameters
    ----------
    spec : DatasetSpec
        Which.
    train, test : Split
        As published; a validation split is taken from `train`, never from `test`.
    source : str
        Where it was found.
    original : bool
        Whether all arrays are the published ones, to the last byte.
    held_back : int
        How many of the last images of `train` are to choose the best epoch by, where the data set says which; 0 where
        any may.
    names : mapping
        Of `train` and `test`, what each image is called, where it has a name.
    notes : tuple of str
        What one should know about it. Empty as a rule.
    """

    spec: DatasetSpec
    train: Split
    test: Split
    source: str
    original: bool
    held_back: int = 0
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def digest(array: np.ndarray) -> str:
    """SHA-256 of an array's bytes in C order, labels as uint8.

    Examples
    --------
    >>> digest(np.array([1, 2], np.int64)) == digest(np.array([1, 2], np.uint8))
    True
    """
    return hashlib.sha256(np.ascontiguousarray(array.astype(np.uint8, copy=False)).tobytes()).hexdigest()


def check_arrays(spec: DatasetSpec, arrays: Arrays, where: str) -> Arrays:
    """Check four arrays against `spec` and give them their final types.

    Parameters
    ----------
    spec : DatasetSpec
        The description that they must fit.
    arrays : dict
        The four of `ARRAY_NAMES`: images uint8 [n, height, width] or [n, height, width, channels], labels of any
        integer type [n].
    where : str
        The file or folder, for messages.

    Returns
    -------
    dict
        Images uint8 [n, height, width, channels], labels int64 [n].

    Raises
    ------
    DatasetError
        For a wrong type, shape or number of them, or a label without a class.
    """
    checked: Arrays = {}
    for part in ("train", "test"):
        images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
        if images.dtype != np.uint8:
            raise DatasetError(f"{where}: {part}_images must be uint8, not {images.dtype}")
        if images.ndim == 3 and spec.shape[2] == 1:
            images = images[..., None]
        if images.shape[1:] != spec.shape or images.ndim != 4:
            raise DatasetError(
                f"{where}: {part}_images must be {spec.shape} each for {spec.title}, not {images.shape[1:]}"
            )
        if labels.ndim == 2 and labels.shape[1] == 1:  # as Keras keeps those of CIFAR-10
            labels = labels[:, 0]
        if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
            raise DatasetError(f"{where}: {part}_labels must be integers [n], not {labels.dtype} {labels.shape}")
        if len(images) != len(labels) or not len(images):
            raise DatasetError(
                f"{where}: {len(images)} {part} images with {len(labels)} labels; there must be as many, and at"
                " least one"
            )
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= len(spec.classes):
            raise DatasetError(
                f"{where}: {part}_labels hold {low if low < 0 else high}; {spec.title} has 0 to {len(spec.classes) - 1}"
            )
        checked[f"{part}_images"], checked[f"{part}_labels"] = np.ascontiguousarray(images), labels.astype(np.int64)
    return checked


def altered(spec: DatasetSpec, arrays: Arrays) -> list[str]:
    """Names of the arrays that are not the published ones."""
    return [name for name in ARRAY_NAMES if digest(arrays[name]) != spec.digests[name]]
