"""Pictures of one's own as a data set: a folder for each class, as torchvision's ImageFolder has them.

Every picture becomes what `pynq_cnn.images.prepare` makes of it for the network's input, as in classifying: so what is
trained, measured and calibrated with are the bytes that the network gets from the file later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from host_train.data.dataset import Dataset, DatasetSpec, Split
from host_train.data.files import images_of, read_images, shown
from pynq_cnn.errors import DatasetError
from pynq_cnn.model import InputSpec

# Names of folders that divide the pictures, in small letters.
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
TESTED = 5  # of a class's pictures, where the folder has no test set, one in so many is for testing
LEAST = 10  # pictures to train on, of which one is held back

Layout = Mapping[str, Mapping[str, Sequence[Path]]]  # the files of each class of each part


@dataclass(frozen=True, eq=False)
class Part:
    """Pictures with their labels and names."""

    split: Split
    names: tuple[str, ...]

    def __getitem__(self, index: np.ndarray) -> Part:
        return Part(self.split[index], tuple(self.names[i] for i in np.arange(len(self.names))[index]))


def load_folder(folder: Path, spec: InputSpec, progress: bool = True) -> Dataset:
    """The pictures of a folder, as a network of the input `spec` takes them.

    It holds a folder for each class; or the folders `train` and, if one has them, `val` and `test`, each of which holds
    these. Without `test`, of every class one picture in five is for testing, at least one: those whose names' SHA-256
    is least, whatever else is there. Only bytes [height, width, channels] of each picture are kept.

    Parameters
    ----------
    folder : pathlib.Path
        With pictures in any format that Pillow knows by the file's suffix.
    spec : InputSpec
        The network's input.
    progress : bool
        Show a bar where there is a terminal.

    Returns
    -------
    Dataset
        Its classes are the names of the folders, in the order of the alphabet, or of their numbers if they are numbers.

    Raises
    ------
    DatasetError
        For another layout, a class without pictures, one class alone, or too few pictures.
    ImageError
        If pictures cannot be read; it lists them.
    """
    layout, notes = _layout(folder)
    classes = tuple(sorted(layout["train"], key=_place))
    if len(classes) < 2:
        raise DatasetError(
            f"{folder} has one class only, {classes[0]!r}; there must be a folder for each of two or more"
        )
    for part, files in layout.items():
        for name, paths in files.items():
            place = folder if len(layout) == 1 else folder / part
            if name not in classes:
                raise DatasetError(
                    f"{place / name} is a class of which there is nothing to train on; add some to train"
                )
            if not paths:
                raise DatasetError(f"{place / name} has no picture; put some there, or remove it")
            if part == "train" and "test" not in layout and len(paths) < 2:
                raise DatasetError(
                    f"{place / name} has one picture only; there must be two, one to train on and one to test with"
                )
    parts = {}
    for part, files in layout.items():
        found = {path.relative_to(folder).as_posix(): (path, name) for name, paths in files.items() for path in paths}
        names = by_digest(found)
        images, doubts = read_images((found[name][0] for name in names), len(names), spec, progress)
        labels = np.array([classes.index(found[name][1]) for name in names], np.int64)
        parts[part] = Part(Split(images, labels), names)
        notes += doubts
    return make_dataset(f"{folder.resolve().name} (own pictures)", str(folder), classes, parts, notes)


def _layout(folder: Path) -> tuple[dict[str, dict[str, list[Path]]], list[str]]:
    """The files of each class of each part (`train` alone where nothing divides them), and what to note."""
    if not folder.is_dir():
        raise DatasetError(
            f"{folder} is no folder; give one with a folder of pictures for each class (--data, or --data-dir if it was"
            " moved)"
        )
    straight, inside, others = images_of(folder)
    splits = {name: SPLITS[name.lower()] for name in inside if name.lower() in SPLITS}
    divided = {name: images_of(folder / name) for name in splits}
    divided = {name: found for name, found in divided.items() if any(found[1].values())}  # else it is a class
    notes = []
    if others:
        notes.append(f"{len(others)} files are no pictures by their suffix and are left out: {shown(others, folder)}")
    if not divided:
        _check_straight(straight, folder)
        if not inside:
            raise DatasetError(f"{folder} has no folders; it must hold one with pictures for each class")
        return {"train": inside}, notes
    strange = sorted(set(inside) - set(divided))
    if strange:
        raise DatasetError(
            f"{folder} has the folder {next(iter(divided))}, which divides pictures, and {strange[0]}, which does not;"
            " have either a folder for each class, or only train, val and test, each with these"
        )
    layout: dict[str, dict[str, list[Path]]] = {}
    for name, (files, classes, _) in divided.items():
        _check_straight([*straight, *files], folder)
        if splits[name] in layout:
            raise DatasetError(f"{folder} has two folders for {splits[name]}; put their pictures together")
        layout[splits[name]] = classes
    if "train" not in layout:
        raise DatasetError(f"{folder} has {', '.join(divided)} but no folder train, to train on")
    return {part: layout[part] for part in ("train", "validation", "test") if part in layout}, notes


def _check_straight(files: list[Path], folder: Path) -> None:
    if files:
        raise DatasetError(
            f"{shown(files, folder)} of {folder} are in no folder of a class; put each in that of its own"
        )


def _place(name: str) -> tuple[bool, int, str]:
    """Sorts numbers by size, before other names."""
    return (False, int(name), name) if name.isdecimal() else (True, 0, name)


def by_digest(names: Iterable[str]) -> tuple[str, ...]:
    """Names in the order of their SHA-256: as if shuffled, and always alike.

    Examples
    --------
    >>> by_digest(["cat/1.png", "cat/2.png", "dog/1.png"])
    ('cat/1.png', 'cat/2.png', 'dog/1.png')
    """
    return tuple(sorted(names, key=lambda name: hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()))


def _divided(whole: Part, classes: int) -> dict[str, Part]:
    """A part in two, to train on and to test with: the first of each class are for testing."""
    tested = np.zeros(len(whole.names), bool)
    for label in range(classes):
        own = np.flatnonzero(whole.split.labels == label)
        tested[own[: max(1, round(len(own) / TESTED))]] = True
    return {"train": whole[~tested], "test": whole[tested]}


def make_dataset(
    title: str, source: str, classes: tuple[str, ...], parts: Mapping[str, Part], notes: Sequence[str]
) -> Dataset:
    """A data set of prepared pictures.

    Parameters
    ----------
    title, source : str
        How people call it, and where it is.
    classes : tuple of str
        Names of the labels.
    parts : mapping
        `train`, and perhaps `validation` and `test`, each shuffled.
    notes : sequence of str
        What is known of it already.

    Raises
    ------
    DatasetError
        If a class has nothing to train on, there is too little in all, or all pictures are of one colour.
    """
    parts = {**parts} if "test" in parts else {**parts, **_divided(parts["train"], len(classes))}
    train, test = parts["train"], parts["test"]
    counts = np.bincount(train.split.labels, minlength=len(classes))
    if not counts.all():
        raise DatasetError(f"{source} has no picture of {classes[int(counts.argmin())]!r} to train on; add some")
    if len(train.names) < LEAST:
        raise DatasetError(f"{source} has {len(train.names)} pictures to train on; there must be {LEAST} at least")
    tested = np.bincount(test.split.labels, minlength=len(classes))
    notes = [*notes, *(f"no picture of {name!r} is for testing" for name, n in zip(classes, tested) if not n)]
    mean, std = _statistics(train.split.images, source)
    held_back = parts.get("validation")
    if held_back is not None:
        both = (train.split, held_back.split)
        images, labels = (np.concatenate([getattr(one, field) for one in both]) for field in ("images", "labels"))
        train = Part(Split(images, labels), train.names + held_back.names)
    twice = _in_both(train, test)
    if twice:
        more = f", such as {twice[0]}" if twice[0] else ""
        notes.append(
            f"{len(twice)} of {len(test.names)} pictures for testing are to train on too, byte for byte{more}: the"
            " accuracy will look better than it is"
        )
    _, height, width, channels = train.split.images.shape
    spec = DatasetSpec("own", title, (height, width, channels), classes, mean, std, {})
    names = {"train": train.names, "test": test.names}
    held = 0 if held_back is None else len(held_back.names)
    return Dataset(spec, train.split, test.split, source, False, held, names, tuple(notes))


def _statistics(images: np.ndarray, source: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of images in 0..1, from their histograms: no floats of all of them.

    A channel that is the same everywhere has the deviation 1.
    """
    values = np.arange(256) / 255
    means, stds = [], []
    for channel in range(images.shape[3]):
        counts = np.zeros(256, np.int64)
        for image in images:
            counts += np.bincount(image[..., channel].ravel(), minlength=256)
        mean = float(counts @ values / counts.sum())
        std = float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum()))
        means.append(round(mean, 4))
        stds.append(round(std, 4))
    if not any(stds):
        raise DatasetError(f"all pictures of {source} to train on are of one colour, as the network sees them")
    return tuple(means), tuple(std or 1.0 for std in stds)


def _in_both(train: Part, test: Part) -> list[str]:
    """Names of the pictures of `test` that `train` has too."""
    known = {hashlib.sha256(image.tobytes()).digest() for image in train.split.images}
    return [
        name for name, image in zip(test.names, test.split.images) if hashlib.sha256(image.tobytes()).digest() in known
    ]
