"""Image files in a folder and in folders of classes, read as a network takes them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from host_train.progress import track
from pynq_cnn.errors import ImageError
from pynq_cnn.images import ImageLike, prepare
from pynq_cnn.model import InputSpec


def images_of(folder: Path) -> tuple[list[Path], dict[str, list[Path]], list[Path]]:
    """The image files of a folder.

    Returns
    -------
    files : list of pathlib.Path
        Straight in it.
    inside : dict
        By the name of each folder in it, those in and below that one.
    others : list of pathlib.Path
        Files, in it and below, of a type that Pillow does not know by its suffix. Hidden ones count nowhere.
    """
    known = Image.registered_extensions()
    others: list[Path] = []

    def images(place: Path, names: Iterable[str]) -> list[Path]:
        paths = [place / name for name in sorted(names) if not name.startswith(".")]
        others.extend(path for path in paths if path.suffix.lower() not in known)
        return [path for path in paths if path.suffix.lower() in known]  # dangling links too: they fail in reading

    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    inside: dict[str, list[Path]] = {}
    for entry in entries:
        if entry.is_dir():
            found = inside.setdefault(entry.name, [])
            for place, below, names in os.walk(entry, onerror=_raise):
                below[:] = sorted(name for name in below if not name.startswith("."))
                found.extend(images(Path(place), names))
    return images(folder, [path.name for path in entries if not path.is_dir()]), inside, others


def _raise(error: OSError) -> None:
    """For `os.walk`: refuse a folder that it cannot read, as its images would not count."""
    raise error


def read_images(
    images: Iterable[ImageLike], count: int, spec: InputSpec, progress: bool = True
) -> tuple[np.ndarray, list[str]]:
    """Pictures as `pynq_cnn.images.prepare` makes them into a network's input, one at a time.

    Parameters
    ----------
    images : iterable
        The pictures.
    count : int
        How many there are.
    spec : InputSpec
        The network's input.
    progress : bool
        Show a bar where there is a terminal.

    Returns
    -------
    images : numpy.ndarray
        uint8 [count, height, width, channels].
    notes : list of str
        Doubts about them, and how many pictures each is about.

    Raises
    ------
    ImageError
        If any cannot be read; it lists them all.
    """
    pixels = np.empty((count, *spec.shape), np.uint8)
    doubts: Counter[str] = Counter()
    damaged: list[ImageError] = []
    for place, image in enumerate(track(images, "reading", "image", progress, count)):
        try:
            prepared = prepare(image, spec)
        except ImageError as error:
            damaged.append(error)
            continue
        pixels[place] = prepared.pixels
        doubts.update(prepared.warnings)
    if len(damaged) == 1:
        raise damaged[0]
    if damaged:
        told = "\n".join(f"  * {error}" for error in damaged)
        raise ImageError(f"{len(damaged)} of {count} pictures cannot be read; repair or remove them:\n{told}")
    return pixels, [f"of {number} images: {text}" for text, number in doubts.most_common()]


def shown(paths: Sequence[Path], folder: Path) -> str:
    """The first of some files, for a message, and how many more there are.

    Examples
    --------
    >>> shown([Path("a/b.txt"), Path("a/c.txt")], Path("a"))
    'b.txt and 1 more'
    """
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{paths[0].relative_to(folder).as_posix()}{more}"
