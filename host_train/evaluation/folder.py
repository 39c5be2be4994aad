"""Labelled images as a folder of files, named in one of three ways (`NAMINGS`).

`folders`      a folder for each class: `7/00042.png`, `ankle-boot/x.jpg`, as of torchvision's ImageFolder
`index_label`  the label behind an underscore: `00042_7.png`, `00042_ankle-boot.png`
`label_index`  the label before an underscore: `7_00042.bmp`, `ankle-boot_00042.png`

A label is the name of a class, in lower case and with `-` for everything but letters and digits (which is how it is
written; in reading, case and punctuation do not matter), or its number from 0, where classes have names that are no
numbers.

Which way it is, the names decide: labels must be known ones, and what is beside them must count images. Names that can
be read in two ways, like `3_5.png`, are refused unless that decides it.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from host_train.data import Split
from host_train.progress import track
from pynq_cnn.errors import ArgumentError, DatasetError
from pynq_cnn.images import prepare
from pynq_cnn.model import InputSpec

NAMINGS = {
    "folders": "labels are the names of folders",
    "index_label": "labels are behind the underscore",
    "label_index": "labels are before the underscore",
}
SHOWN = 20  # labels in a message


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
    seconds : float
        How long it took to read and fit the images.
    """

    split: Split
    files: tuple[Path, ...]
    naming: str
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


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
        raise ArgumentError(
            f"classes {', '.join(map(repr, classes))} cannot be told apart in names of files; rename them"
        )
    return labels


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
    labels = list(_labels(classes))
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
        With files or folders of files, named as this module says.
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
    labels = _labels(classes)
    example = f"00042_{next(iter(labels))}.png"
    if not folder.is_dir():
        raise DatasetError(
            f"{folder} is no folder; give one of images named like {example}, or of a folder for each class"
        )
    files, inside = _images_of(folder)
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
        return _prepared(files, _of_folders(folder, inside, labels), naming, [], spec, progress)
    naming, numbers, notes = _of_names(folder, files, labels, naming)
    return _prepared(files, numbers, naming, notes, spec, progress)


def _prepared(
    files: list[Path], numbers: list[int], naming: str, notes: list[str], spec: InputSpec, progress: bool
) -> LabelledFiles:
    images = [prepare(path, spec) for path in track(files, "reading", "image", progress)]
    doubts = Counter(text for one in images for text in one.warnings)
    notes = [*notes, *(f"of {count} images: {text}" for text, count in doubts.most_common())]
    split = Split(np.stack([one.pixels for one in images]), np.array(numbers, np.int64))
    return LabelledFiles(split, tuple(files), naming, tuple(notes), sum(one.seconds for one in images))


def _images_of(folder: Path) -> tuple[list[Path], dict[str, list[Path]]]:
    """Image files in a folder, and those in and below each folder in it that has any."""
    known = Image.registered_extensions()

    def images(place: Path, names: Iterable[str]) -> list[Path]:
        paths = [place / name for name in sorted(names) if not name.startswith(".")]
        return [path for path in paths if path.suffix.lower() in known and path.is_file()]

    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    inside: dict[str, list[Path]] = {}
    for entry in entries:
        if entry.is_dir():
            for place, below, names in os.walk(entry, onerror=_raise):
                below[:] = sorted(name for name in below if not name.startswith("."))
                inside.setdefault(entry.name, []).extend(images(Path(place), names))
    return images(folder, [path.name for path in entries]), {name: paths for name, paths in inside.items() if paths}


def _raise(error: OSError) -> None:
    """For `os.walk`: refuse a folder that it cannot read, as its images would not count."""
    raise error


# -------------------------------------------------------------------------------------------------------- labels


def _vocabularies(labels: dict[str, int]) -> list[dict[str, int]]:
    """Labels by the names of the classes, and by their numbers where no name is a number."""
    numbered = {str(index): index for index in labels.values()}
    return [labels] if any(label.isdigit() for label in labels) else [labels, numbered]


def _listed(labels: dict[str, int]) -> str:
    """Labels for a message: names and numbers."""
    names = ", ".join(list(labels)[:SHOWN]) + (", ..." if len(labels) > SHOWN else "")
    return names if len(_vocabularies(labels)) == 1 else f"{names}, or a number from 0 to {len(labels) - 1}"


def _of_folders(folder: Path, inside: dict[str, list[Path]], labels: dict[str, int]) -> list[int]:
    """Labels of the images in folders of classes."""
    classes: dict[str, int] = {}
    for vocabulary in _vocabularies(labels):
        # Numbers may be filled up with zeros here, where no number is beside them.
        written = {name: label_of_class(name) for name in inside}
        written = {
            name: str(int(label)) if label.isdecimal() and label not in vocabulary else label
            for name, label in written.items()
        }
        known = {name: vocabulary[label] for name, label in written.items() if label in vocabulary}
        classes = max(classes, known, key=len)
    strange = next((name for name in inside if name not in classes), None)
    if strange is not None:
        raise DatasetError(
            f"{folder / strange} has images, but is no class: {len(classes)} of {len(inside)} folders are; its name"
            f" must be one of {_listed(labels)}. Give the folder that holds the folders of the classes"
        )
    return [classes[name] for name, paths in inside.items() for _ in paths]


@dataclass(frozen=True)
class _Reading:
    """One way to read the names of all files.

    Parameters
    ----------
    naming : str
        One of `NAMINGS`.
    labels : list of int
        Of the files.
    others : list of str
        The files beside the labels.
    """

    naming: str
    labels: list[int]
    others: list[str]

    def counts(self) -> bool:
        """Whether what is beside the labels counts the images: all of them without a gap, or those of each label from 0
        or 1 on.
        """
        if not all(other.isdecimal() for other in self.others):
            return False
        by_label = defaultdict(list)
        for label, other in zip(self.labels, self.others):
            by_label[label].append(int(other))
        return _is_row(map(int, self.others)) or all(
            _is_row(numbers) and min(numbers) <= 1 for numbers in by_label.values()
        )


def _is_row(numbers: Iterable[int]) -> bool:
    """Whether these are whole numbers that follow each other, in any order."""
    ordered = sorted(numbers)
    return ordered == list(range(ordered[0], ordered[0] + len(ordered)))


def _read_name(stem: str, naming: str, vocabulary: dict[str, int]) -> tuple[int, str] | None:
    """The label of a file's name, which may have underscores itself, and what is beside it; None if it has none."""
    parts = stem.split("_")
    cuts = range(1, len(parts)) if naming == "index_label" else range(len(parts) - 1, 0, -1)  # the longest label first
    for cut in cuts:
        before, behind = "_".join(parts[:cut]), "_".join(parts[cut:])
        label, other = (behind, before) if naming == "index_label" else (before, behind)
        if label_of_class(label) in vocabulary:
            return vocabulary[label_of_class(label)], other
    return None


def _of_names(folder: Path, files: list[Path], labels: dict[str, int], naming: str) -> tuple[str, list[int], list[str]]:
    """How the names of files are to be read, their labels, and what is in doubt."""
    namings = ("index_label", "label_index") if naming == "auto" else (naming,)
    readings: list[_Reading] = []
    best: list[Path] = []  # files that the reading of most files does not read
    for vocabulary in _vocabularies(labels):
        for one in namings:
            read = [_read_name(path.stem, one, vocabulary) for path in files]
            if vocabulary is not labels:  # a number beside the name of a class is no label
                read = [None if found and label_of_class(found[1]) in labels else found for found in read]
            left = [path for path, found in zip(files, read) if found is None]
            if not left:
                readings.append(
                    _Reading(one, [found[0] for found in read if found], [found[1] for found in read if found])
                )
            elif not best or len(left) < len(best):
                best = left
        if readings:
            break  # names say more than numbers
    if not readings:
        side = {"index_label": "behind an underscore", "label_index": "before an underscore"}.get(
            naming, "before or behind an underscore"
        )
        label, suffix = next(iter(labels)), best[0].suffix
        like = [f"{label}_00042{suffix}"] * ("label_index" in namings) + [f"00042_{label}{suffix}"] * (
            "index_label" in namings
        )
        raise DatasetError(
            f"{best[0]} carries no label: its name must have one of {_listed(labels)} {side}, like {' or '.join(like)};"
            f" {len(files) - len(best)} of {len(files)} names have theirs on one side"
        )
    if len(readings) == 2 and readings[0].labels != readings[1].labels:
        counting = [one for one in readings if one.counts()]
        if len(counting) != 1:
            first = files[0].name
            raise DatasetError(
                f"{folder} has names, such as {first}, in which the label may be before or behind the underscore; say"
                " which: --naming label_index or --naming index_label"
            )
        readings = counting
    return readings[0].naming, readings[0].labels, _doubts(readings[0])


def _doubts(reading: _Reading) -> list[str]:
    """Doubts about labels that may be numbers of images."""
    numbers = reading.labels
    if len(numbers) > 2 and _is_row(numbers) and min(numbers) <= 1 and not reading.counts():
        return [f"each of the labels {min(numbers)} to {max(numbers)} is there once, as numbers of images would be"]
    return []
