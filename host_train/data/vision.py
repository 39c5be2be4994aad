"""Data sets of torchvision's classes, where it is installed."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np

from host_train.data import cache_folder
from host_train.data.dataset import Dataset, Split
from host_train.data.files import read_images
from host_train.data.pictures import Part, by_digest, make_dataset
from host_train.reason import reason_of
from pynq_cnn.errors import DatasetError
from pynq_cnn.model import InputSpec

# What their `split` calls each part, of which the first that there is counts.
NAMES = {"train": ("train", "trainval"), "validation": ("val", "valid"), "test": ("test",)}


def load_torchvision(name: str, spec: InputSpec, root: Path | None = None, progress: bool = True) -> Dataset:
    """A data set of `torchvision.datasets`, downloaded by it where its files are not there.

    Of those with `train=True` and `False`, or with a `split`, the parts are theirs; others are divided as a folder of
    pictures is.

    Parameters
    ----------
    name : str
        Of the class, such as `SVHN`.
    spec : InputSpec
        The network's input.
    root : pathlib.Path, optional
        Folder of its files: `torchvision` in the cache if not given.
    progress : bool
        Show a bar where there is a terminal.

    Raises
    ------
    DatasetError
        If torchvision is not there, has no such class, or one that has no class number for each picture, or whose
        files cannot be had.
    """
    try:
        from torchvision import datasets
    except Exception as error:  # it may be installed and not fit to this PyTorch
        raise DatasetError(
            f"--data torchvision:{name} needs torchvision, which cannot be imported: {reason_of(error)}; pip install"
            " 'pynq-cnn[vision]'"
        ) from error
    kind = getattr(datasets, name, None)
    if not (isinstance(kind, type) and issubclass(kind, datasets.VisionDataset)):
        raise DatasetError(f"torchvision.datasets has no {name!r}; give the name of one of its classes, such as SVHN")
    found = _parts(kind, name, cache_folder() / "torchvision" if root is None else root)
    classes = tuple(map(str, getattr(found["train"], "classes", None) or ()))
    parts: dict[str, Part] = {}
    notes: list[str] = []
    for part, data in found.items():
        order = by_digest(f"{part}/{number:06}" for number in range(len(data)))
        labels = np.zeros(len(data), np.int64)

        def pictures(data: Any = data, order: Any = order, labels: np.ndarray = labels) -> Any:
            for place, own in enumerate(order):
                image, label = data[int(own.rpartition("/")[2])]
                if not isinstance(label, (int, np.integer)):
                    raise DatasetError(
                        f"{name} of torchvision gives {label!r:.60} with a picture, not its class's number"
                    )
                labels[place] = label
                yield image

        images, doubts = read_images(pictures(), len(data), spec, progress)
        parts[part] = Part(Split(images, labels), order)
        notes += doubts
    most = max(int(one.split.labels.max()) for one in parts.values())
    least = min(int(one.split.labels.min()) for one in parts.values())
    classes = classes or tuple(map(str, range(most + 1)))
    if least < 0 or most >= len(classes):
        raise DatasetError(f"{name} of torchvision has labels from {least} to {most} for {len(classes)} classes")
    return make_dataset(f"torchvision's {name}", f"torchvision's {name}", classes, parts, notes)


def _parts(kind: Any, name: str, root: Path) -> dict[str, Any]:
    """Its parts by our names for them."""
    takes = inspect.signature(kind).parameters
    if "root" not in takes:
        raise DatasetError(f"{name} of torchvision has no files, and so no pictures to train on; name another data set")
    common = {"download": True} if "download" in takes else {}
    if "train" in takes:
        return {part: _made(kind, name, root, common | {"train": part == "train"}) for part in ("train", "test")}
    if "split" not in takes:
        return {"train": _made(kind, name, root, common)}
    found = {}
    for part, words in NAMES.items():
        for word in words:
            try:
                found[part] = _made(kind, name, root, common | {"split": word})
                break
            except _Unknown:
                continue
    if "train" not in found:
        raise DatasetError(f"{name} of torchvision has no split called {' or '.join(NAMES['train'])}")
    return found


class _Unknown(DatasetError):
    """A split that a data set does not have."""


def _made(kind: Any, name: str, root: Path, options: dict[str, Any]) -> Any:
    root.mkdir(parents=True, exist_ok=True)
    try:
        return kind(root, **options)
    except Exception as error:  # of the network, of files, of arguments that it wants besides: each class has its own
        told = f"{name} of torchvision, in {root}, cannot be had: {reason_of(error)}"
        if isinstance(error, ValueError) and "split" in options:
            raise _Unknown(told) from error
        raise DatasetError(f"{told}; give the folder of its files by --data-dir, or another data set") from error
