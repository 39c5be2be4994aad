"""MNIST, Fashion-MNIST and CIFAR-10 as NumPy arrays, wherever they can be had.

`load_dataset("mnist")` looks in the folder the user names, or else in the cache, the packages that carry the data, and
torchvision's download, in that order. What comes from a package or a download must be the published data to the last
byte, and is then kept in the cache: one `.npz` a data set, in the folder `$PYNQ_CNN_DATA`, or `~/.cache/pynq_cnn`.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from host_train.data.dataset import Arrays, Dataset, DatasetSpec, Split, altered, check_arrays
from host_train.data.npz import read_npz, write_npz
from host_train.data.registry import DATASETS, Entry
from pynq_cnn.errors import ArgumentError, DatasetError

__all__ = ["DATASETS", "Dataset", "DatasetSpec", "Split", "cache_folder", "find_entry", "load_dataset"]


def cache_folder() -> Path:
    """Where data sets are kept: `$PYNQ_CNN_DATA`, or `~/.cache/pynq_cnn`."""
    named = os.environ.get("PYNQ_CNN_DATA")
    return Path(named) if named else Path.home() / ".cache" / "pynq_cnn"


def find_entry(name: str) -> Entry:
    """The registered data set `name`; `ArgumentError` lists those there are."""
    if name not in DATASETS:
        raise ArgumentError(f"no data set is called {name!r}; there are {', '.join(DATASETS)}")
    return DATASETS[name]


def load_dataset(name: str, data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """Find and read a data set.

    Parameters
    ----------
    name : str
        `"mnist"`, `"fashion_mnist"` or `"cifar10"`.
    data_dir : path, optional
        A folder with its files. If given it is the only place looked in, and its data need not be the published ones.

    Returns
    -------
    Dataset
        Images uint8 [n, height, width, channels], labels int64 [n].

    Raises
    ------
    DatasetError
        If a file of `data_dir` is bad, or if no way works: then it lists every way and why it failed.
    """
    entry = find_entry(name)
    if data_dir is not None:
        return _from_folder(entry, Path(data_dir))
    cache = cache_folder() / f"{name}.npz"
    failures = ["--data-dir: not given"]
    try:
        arrays = read_npz(cache)
        if arrays is not None:
            return _published(entry, arrays, str(cache), str(cache))
        failures.append(f"the cache: {cache} is not there")
    except DatasetError as error:
        failures.append(f"the cache: {error}")  # another way may give a good one, which then takes its place
    for source in entry.sources:
        try:
            arrays = source.fetch()
            dataset = _published(entry, arrays, source.describe, source.describe)
        except DatasetError as error:
            failures.append(f"{source.describe}: {error}")
            continue
        try:
            write_npz(cache, {name: array.astype("uint8", copy=False) for name, array in _arrays(dataset).items()})
        except DatasetError as error:
            warnings.warn(f"{error}; it will be fetched again the next time", stacklevel=2)
        return dataset
    lines = "\n".join(f"  * {failure}" for failure in failures)
    raise DatasetError(
        f"{entry.spec.title} could not be found. What was tried:\n{lines}\n"
        f"Make any of these work, or put {entry.files} in a folder and give it as --data-dir."
    )


def _arrays(dataset: Dataset) -> Arrays:
    return {
        "train_images": dataset.train.images,
        "train_labels": dataset.train.labels,
        "test_images": dataset.test.images,
        "test_labels": dataset.test.labels,
    }


def _dataset(entry: Entry, arrays: Arrays, source: str, original: bool) -> Dataset:
    train, test = (Split(arrays[f"{part}_images"], arrays[f"{part}_labels"]) for part in ("train", "test"))
    return Dataset(entry.spec, train, test, source, original)


def _published(entry: Entry, arrays: Arrays, source: str, where: str) -> Dataset:
    """A data set that must be the published one."""
    checked = check_arrays(entry.spec, arrays, where)
    wrong = altered(entry.spec, checked)
    if wrong:
        raise DatasetError(f"{where}: {', '.join(wrong)} are not those of {entry.spec.title} (SHA-256 differs)")
    return _dataset(entry, checked, source, original=True)


def _from_folder(entry: Entry, folder: Path) -> Dataset:
    if not folder.is_dir():
        raise DatasetError(f"--data-dir {folder} is no folder; it should hold {entry.files}")
    try:
        arrays = entry.read(folder)
    except OSError as error:
        raise DatasetError(f"{folder} cannot be read: {error}") from error
    if arrays is None:
        others = "; ".join(source.describe for source in entry.sources)
        raise DatasetError(
            f"--data-dir {folder} has nothing of {entry.spec.title}: it should hold {entry.files}. "
            f"Without --data-dir these are tried: the cache {cache_folder()}; {others}."
        )
    checked = check_arrays(entry.spec, arrays, str(folder))
    return _dataset(entry, checked, str(folder), original=not altered(entry.spec, checked))
