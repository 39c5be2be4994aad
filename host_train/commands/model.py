"""The run or the network that `evaluate` and `export` work on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import Network
from pynq_cnn.model.package.forms import MANIFEST
from pynq_cnn.zoo import load_model, models

if TYPE_CHECKING:
    from host_train.data import Dataset, Split
    from host_train.runs.run import Run

WHAT = "folder of a run or of a model package, or the name of a shipped network"


def find_model(word: str, data_dir: Path | None) -> Run | Network:
    """The shipped network of that name, or what is in that folder; `ArgumentError` if it is none of these."""
    from host_train.runs.record import RUN
    from host_train.runs.run import Run

    folder = Path(word)
    if word not in models():  # as everywhere, a name means the shipped network; ./NAME is a folder
        if (folder / RUN).is_file():
            return Run.open(folder, data_dir)
        if not (folder / MANIFEST).is_file():
            missing = f"{RUN} or {MANIFEST} is not there" if folder.is_dir() else "there is no such folder"
            raise ArgumentError(
                f"{word} is no run, no model package and no shipped network ({', '.join(models())}): {missing}; train"
                f" first (python -m host_train train NAME --out {word}), or give another"
            )
    return load_model(word)


def find_data(word: str, network: Network, name: str | None, data_dir: Path | None) -> Dataset:
    """The data set called `name`, or without it the one that a network's package says; `ArgumentError` if it says none
    that is known.
    """
    from host_train.data import DATASETS, load_dataset

    title = network.metadata.get("dataset")
    name = name or next((one for one, entry in DATASETS.items() if entry.spec.title == title), None)
    if name is None:
        raise ArgumentError(
            f"{word} says that its data set is {title!r}; name one of {', '.join(DATASETS)} by --dataset, or of"
            " pictures of your own give the folder of its run, or to evaluate --images"
        )
    return load_dataset(name, data_dir)


def as_taken(split: Split, dataset: Dataset, network: Network) -> tuple[Split, tuple[str, ...], list[str]]:
    """A part of a data set as a network takes it: size, order of colours, its own labels; with the names of these, and
    what a reader should know.
    """
    from host_train.data.resize import resize_split
    from host_train.evaluation.match import match_classes, match_colours

    resized = resize_split(split, network.input.height, network.input.width)
    return match_classes(match_colours(resized, network.input), dataset.spec.classes, network.classes)
