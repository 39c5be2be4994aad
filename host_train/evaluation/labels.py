"""Labels in the names of files and folders, in one of three ways (`NAMINGS`).

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

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pynq_cnn.errors import ArgumentError, DatasetError

NAMINGS = {
    "folders": "labels are the names of folders",
    "index_label": "labels are behind the underscore",
    "label_index": "labels are before the underscore",
}
SHOWN = 20  # labels in a message


def label_of_class(name: str) -> str:
    """How a class is written in a file's name.

    Examples
    --------
    >>> label_of_class("Ankle boot"), label_of_class("T-shirt/top"), label_of_class("7")
    ('ankle-boot', 't-shirt-top', '7')
    """
    return re.sub(r"[\W_]+", "-", unicodedata.normalize("NFC", name).lower()).strip("-")


def labels_of(classes: Sequence[str]) -> dict[str, int]:
    """Label to index of the class."""
    labels = {label_of_class(name): index for index, name in enumerate(classes)}
    if len(labels) < len(classes) or "" in labels:
        raise ArgumentError(
            f"classes {', '.join(map(repr, classes))} cannot be told apart in names of files; rename them"
        )
    return labels


def _vocabularies(labels: dict[str, int]) -> list[dict[str, int]]:
    """Labels by the names of the classes, and by their numbers where no name is a number."""
    numbered = {str(index): index for index in labels.values()}
    return [labels] if any(label.isdigit() for label in labels) else [labels, numbered]


def _listed(labels: dict[str, int]) -> str:
    """Labels for a message: names and numbers."""
    names = ", ".join(list(labels)[:SHOWN]) + (", ..." if len(labels) > SHOWN else "")
    return names if len(_vocabularies(labels)) == 1 else f"{names}, or a number from 0 to {len(labels) - 1}"


def labels_of_folders(folder: Path, inside: dict[str, list[Path]], labels: dict[str, int]) -> list[int]:
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


def labels_of_names(
    folder: Path, files: list[Path], labels: dict[str, int], naming: str
) -> tuple[str, list[int], list[str]]:
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
            f" {len(files) - len(best)} of {len(files)} names have theirs on one side; or put the"
            " files into folders named by their class"
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
