"""The record of a run in run.json: its settings, and the digests of its data and network."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from host_train.data import Dataset
from host_train.data.dataset import digest
from host_train.files import write_text
from host_train.networks import Recipe
from host_train.settings import Settings
from pynq_cnn.errors import ArgumentError

RUN = "run.json"
DATA, NETWORK = "data", "network"
OPTIONS = ("kernel_size", "stride", "padding", "eps", "input_step")  # of layers, which show in no shape of a weight


@dataclass(frozen=True)
class Record:
    """Settings of a run, and the digests of its data and network, which older runs do not have."""

    settings: Settings
    data: str | None
    network: str | None


def read_record(folder: Path) -> Record:
    """The record of the run in `folder`; `ArgumentError` if there is none."""
    path = folder / RUN
    if not path.is_file():
        raise ArgumentError(
            f"{folder} is no run: {RUN} is not there; train first (python -m host_train train NAME --out {folder})"
        )
    return parse_record(path)


def parse_record(path: Path) -> Record:
    """The record in a run.json; `ArgumentError` if it is none."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        settings = Settings(**{name: value for name, value in stored.items() if name not in ("command", DATA, NETWORK)})
        return Record(settings, stored.get(DATA), stored.get(NETWORK))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ArgumentError(f"{path} cannot be read: {error}; remove the folder and train again") from error


def write_record(path: Path, settings: Settings, dataset: Dataset, recipe: Recipe) -> None:
    """Write down the settings of a run, and the digests of its data and network."""
    digests = {DATA: data_digest(dataset), NETWORK: network_digest(recipe)}
    write_text(path, json.dumps({**asdict(settings), "command": settings.command(), **digests}, indent=1))


def read_settings(folder: Path) -> Settings:
    """Settings of the run in `folder`, read without its data; `ArgumentError` if there is none."""
    return read_record(folder).settings


def data_digest(dataset: Dataset) -> str:
    """SHA-256 of the SHA-256s of the training images and labels; those of published data are known, and were compared
    in loading.
    """
    arrays = {"train_images": dataset.train.images, "train_labels": dataset.train.labels}
    digests = [dataset.spec.digests[name] if dataset.original else digest(array) for name, array in arrays.items()]
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()


def network_digest(recipe: Recipe) -> str:
    """SHA-256 of all that a recipe's weights do not tell: its layers in their order, their options, and how images are
    made for them.
    """
    with torch.random.fork_rng(devices=[]):  # what a caller draws afterwards does not depend on this
        model = recipe.build()
    layers = [
        (name, type(layer).__name__, *(str(getattr(layer, one, "")) for one in OPTIONS))
        for name, layer in model.named_modules()
    ]
    return hashlib.sha256(repr((layers, recipe.mean, recipe.std, recipe.size)).encode()).hexdigest()
