"""Labelled images as a folder of files, whose names have the labels (`host_train.evaluation.labels`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from host_train.data import Split
from host_train.data.files import images_of, read_images
from host_train.evaluation.labels import NAMINGS, labels_of, labels_of_folders, labels_of_names
from host_train.progress import track
from pynq_cnn.errors import ArgumentError, DatasetError
from pynq_cnn.model import InputSpec


@dataclass(frozen=True, eq=False)
class LabelledFiles:
    """Image files with their labels.

    Parameters
    ----------
    split : Split
        Images uint8 [n, height, width, channels] as a network takes them, and labels.
    files : tuple of pathlib.Path
        Where each image is from.
    naming : str
        One of `NAMINGS`: where the labels were found.
    notes : tuple of str
        Doubts about it. Empty as a rule.
    """

    split: Split
    files: tuple[Path, ...]
    naming: str
    notes: tuple[str, ...] = ()


def write_folder(split: Split, classes: Sequence[str], folder: Path, progress: bool = True) -> None:
    """Write every image of `split` as a PNG, `INDEX_LABEL.png`, without loss; what is interrupted leaves none of them.

    Parameters
    ----------
    split : Split
        Images uint8 [n, height, width, 1 or 3] (RGB), and labels.
    classes : sequence of str
        Names of the labels.
    folder : pathlib.Path
        Made if it is not there.
    progress : bool
        Show a bar where there is a terminal.

    Raises
    ------
    ArgumentError
        If the folder has files already, which a reader would take for images of this set.
    DatasetError
        If it cannot be written.
    """
    labels = list(labels_of(classes))
    digits = max(5, len(str(len(split) - 1)))
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ArgumentError(f"{folder} is not empty; choose another folder, or empty it")
        named = track(zip(split.images, split.labels), f"writing {folder.name}", "image", progress, len(split))
        for index, (image, label) in enumerate(named):
            written.append(folder / f"{index:0{digits}}_{labels[label]}.png")
            Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(written[-1])
    except BaseException as error:
        for path in written:  # a part of them would be taken for the whole set
            path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise DatasetError(f"{folder} cannot be written: {error}") from error
        raise


def read_folder(
    folder: Path, spec: InputSpec, classes: Sequence[str], naming: str = "auto", progress: bool = True
) -> LabelledFiles:
    """The images of a folder, each made into the input of a network as `pynq_cnn.classify` would, with the labels of
    their names.

    Files of a type that Pillow does not know by its suffix are left out, and hidden files and folders.

    Parameters
    ----------
    folder : pathlib.Path
        With files or folders of files, named in one of `NAMINGS`.
    spec : InputSpec
        The network's input.
    classes : sequence of str
        Names of its classes.
    naming : str
        One of `NAMINGS`, or "auto": what the names themselves decide.
    progress : bool
        Show a bar where there is a terminal.

    Returns
    -------
    LabelledFiles
        In the order of the files' names.

    Raises
    ------
    ArgumentError
        For another naming.
    DatasetError
        If there is no such folder or no image in it, if a name has no label (it names the file, and says what labels
        there are), or if names can be read in two ways.
    ImageError
        If an image cannot be read; it names the file.
    """
    if naming not in ("auto", *NAMINGS):
        raise ArgumentError(f"naming must be one of auto, {', '.join(NAMINGS)}, not {naming!r}")
    labels = labels_of(classes)
    example = f"00042_{next(iter(labels))}.png"
    if not folder.is_dir():
        raise DatasetError(
            f"{folder} is no folder; give one of images named like {example}, or of a folder for each class"
        )
    files, below, _ = images_of(folder)
    inside = {name: paths for name, paths in below.items() if paths}
    if naming == "auto" and files and inside:
        raise DatasetError(
            f"{folder} has images, such as {files[0].name}, and folders of images, such as {min(inside)}; say which of"
            " them count: --naming folders, or one of index_label and label_index"
        )
    if naming == "folders" or (naming == "auto" and inside):
        naming, files = "folders", [path for paths in inside.values() for path in paths]
    if not files:
        raise DatasetError(
            f"{folder} has no images; it should hold files named like {example}, or a folder of images for each class"
        )
    if naming == "folders":
        numbers, notes = labels_of_folders(folder, inside, labels), list[str]()
    else:
        naming, numbers, notes = labels_of_names(folder, files, labels, naming)
    images, doubts = read_images(files, len(files), spec, progress)
    return LabelledFiles(Split(images, np.array(numbers, np.int64)), tuple(files), naming, (*notes, *doubts))
