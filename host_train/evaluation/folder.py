"""Labelled images as a folder of files whose names carry the label: `00042_7.png`, `00042_ankle-boot.png`.

The label is what stands behind the last underscore: the name of a class, in lower case and with `-` for everything but letters and digits
(which is how it is written; in reading, case and punctuation do not matter). What stands before it is free; it keeps names apart.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from host_train.data import Split
from pynq_cnn.errors import ArgumentError, DatasetError
from pynq_cnn.images import to_network_input
from pynq_cnn.model import InputSpec


def label_of_class(name: str) -> str:
    """How a class is written in a file's name.

    Examples
    --------
    >>> label_of_class("Ankle boot"), label_of_class("T-shirt/top"), label_of_class("7")
    ('ankle-boot', 't-shirt-top', '7')
    """
    return re.sub(r"[\W_]+", "-", unicodedata.normalize("NFC", name).lower()).strip("-")


def _labels(classes: Sequence[str]) -> dict[str, int]:
    """Label to index of the class."""
    labels = {label_of_class(name): index for index, name in enumerate(classes)}
    if len(labels) < len(classes) or "" in labels:
        raise ArgumentError(f"classes {', '.join(map(repr, classes))} cannot be told apart in names of files; rename them")
    return labels


def write_folder(split: Split, classes: Sequence[str], folder: Path) -> None:
    """Write every image of `split` as a PNG, `INDEX_LABEL.png`, without loss.

    Parameters
    ----------
    split : Split
        Images uint8 [n, height, width, 1 or 3] (RGB), and labels.
    classes : sequence of str
        Names of the labels.
    folder : pathlib.Path
        Made if it is not there.

    Raises
    ------
    ArgumentError
        If the folder has files already, which a reader would take for images of this set.
    DatasetError
        If it cannot be written.
    """
    labels = list(_labels(classes))
    digits = max(5, len(str(len(split) - 1)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ArgumentError(f"{folder} is not empty; choose another folder, or empty it")
        for index, (image, label) in enumerate(zip(split.images, split.labels)):
            Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(folder / f"{index:0{digits}}_{labels[label]}.png")
    except OSError as error:
        raise DatasetError(f"{folder} cannot be written: {error}") from error


def read_folder(folder: Path, spec: InputSpec, classes: Sequence[str]) -> Split:
    """The images of a folder, each made into the input of a network as `pynq_cnn.classify` would, with the labels of their names.

    Files of a type that Pillow does not know by its suffix, hidden files and folders are left out.

    Parameters
    ----------
    folder : pathlib.Path
        With files such as `00042_7.png`; see this module.
    spec : InputSpec
        What the network takes.
    classes : sequence of str
        Names of its classes.

    Returns
    -------
    Split
        Images uint8 [n, height, width, channels] of `spec`, in the order of the files' names.

    Raises
    ------
    DatasetError
        If there is no such folder or no image in it, or a name has no label: it names the file, and says what labels there are.
    ImageError
        If an image cannot be read; it names the file.
    """
    labels = _labels(classes)
    if not folder.is_dir():
        raise DatasetError(f"{folder} is no folder; give one of images named like 00042_{next(iter(labels))}.png")
    known = Image.registered_extensions()
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in known and not path.name.startswith(".") and path.is_file())
    if not files:
        raise DatasetError(f"{folder} has no images; it should hold files named like 00042_{next(iter(labels))}.png")
    found = []
    for path in files:
        _, underscore, label = path.stem.rpartition("_")
        if not underscore or label_of_class(label) not in labels:
            raise DatasetError(
                f"{path} carries no label: its name must end with an underscore and one of {', '.join(labels)}, "
                f"like 00042_{next(iter(labels))}{path.suffix}"
            )
        found.append(labels[label_of_class(label)])
    return Split(np.stack([to_network_input(path, spec) for path in files]), np.array(found, np.int64))
