"""The networks and the samples of test images that are shipped."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pynq_cnn.errors import ArgumentError, DatasetError, ModelPackageError
from pynq_cnn.model import Network, load_package
from pynq_cnn.model.package.reading import read_manifest
from pynq_cnn.table import html_table, text_table

MODELS = Path(__file__).parent / "models"
SAMPLES = Path(__file__).parent / "samples"
SAMPLE_NAMES = ("mnist", "fashion_mnist", "cifar10")


@dataclass(frozen=True)
class ModelInfo:
    """Facts of a shipped network, known without loading it.

    Parameters
    ----------
    name : str
        To pass as `model=`.
    dataset : str
        The data set it was trained on.
    accuracy : float or None
        Top-1 on the full test set in integer arithmetic, 0..1.
    agreement : float or None
        How far the integers answer as the model that they were made from, 0..1, as the package states it.
    layers : int
        Layers, pooling included.
    bytes : int
        Of its weights and constants on disk.
    recipe : str
        The command that trained it.
    path : pathlib.Path
        The package.
    """

    name: str
    dataset: str
    accuracy: float | None
    agreement: float | None
    layers: int
    bytes: int
    recipe: str
    path: Path


def percent(part: float | None) -> str:
    """For people.

    Examples
    --------
    >>> percent(0.99169), percent(None)
    ('99.17 %', 'unknown')
    """
    return "unknown" if part is None else f"{100 * part:.2f} %"


def stated_agreement(metadata: Mapping[str, Any]) -> float | None:
    """The agreement, 0 to 1, that a package's metadata state: on test images, or else on those it was calibrated with;
    None if none.

    Examples
    --------
    >>> stated_agreement({"conversion": {"agreement": 0.99}}), stated_agreement({"accuracy": "good"})
    (0.99, None)
    """
    for part in (metadata.get("accuracy"), metadata.get("conversion")):
        value = part.get("agreement") if isinstance(part, dict) else None
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
            return float(value)
    return None


class Models(Mapping[str, ModelInfo]):
    """The shipped networks by name; prints and shows itself as a table."""

    COLUMNS = ("name", "data", "accuracy", "agreement", "layers", "bytes", "recipe")

    def __init__(self, infos: Mapping[str, ModelInfo]) -> None:
        self._infos = dict(infos)

    def __getitem__(self, name: str) -> ModelInfo:
        return self._infos[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._infos)

    def __len__(self) -> int:
        return len(self._infos)

    def _rows(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = [self.COLUMNS]
        for info in self._infos.values():
            shares = percent(info.accuracy), percent(info.agreement)
            rows.append((info.name, info.dataset, *shares, str(info.layers), f"{info.bytes:,}", info.recipe))
        return rows

    def __repr__(self) -> str:
        return text_table(self._rows(), left=len(self.COLUMNS))

    def _repr_html_(self) -> str:
        return html_table(self._rows())


def _info(path: Path) -> ModelInfo:
    """Facts from the manifest `path` and the files beside it."""

    def get(mapping: dict[str, Any], key: str, kind: type | tuple[type, ...], default: Any) -> Any:
        value = mapping.get(key, default)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ModelPackageError(f"{path}: {key}: has the wrong type: {value!r:.80}; install pynq_cnn again")
        return value

    manifest = read_manifest(path)
    metadata, layers = get(manifest, "metadata", dict, None), get(manifest, "layers", list, None)
    accuracy = get(get(metadata, "accuracy", dict, {}), "integer_top1", (int, float, type(None)), None)
    dataset, recipe = get(metadata, "dataset", str, ""), get(metadata, "recipe", str, "")
    try:
        size = sum(file.stat().st_size for file in path.parent.glob("*.npy") if not file.name.startswith("golden."))
    except OSError as error:
        raise ModelPackageError(f"{path.parent} cannot be read: {error}; install pynq_cnn again") from error
    return ModelInfo(
        path.parent.name, dataset, accuracy, stated_agreement(metadata), len(layers), size, recipe, path.parent
    )


def models() -> Models:
    """The shipped networks.

    Returns
    -------
    Models
        A mapping from name to `ModelInfo`.

    Raises
    ------
    ModelPackageError
        If the manifest of one is damaged; names it.

    Examples
    --------
    >>> "lenet" in models(), models()["lenet"].dataset
    (True, 'MNIST')
    """
    return Models({path.parent.name: _info(path) for path in sorted(MODELS.glob("*/manifest.json"))})


def load_model(model: str | os.PathLike[str] | Network) -> Network:
    """A network by name, by folder, or as it is.

    Parameters
    ----------
    model : str, path or Network
        The name of a shipped network, the folder of a model package, or a network.

    Raises
    ------
    ArgumentError
        If it is none of these.
    ModelPackageError
        If the package is not whole.
    """
    if isinstance(model, Network):
        return model
    if not isinstance(model, (str, os.PathLike)):
        raise ArgumentError(f"model must be a name, the folder of a model package, or a Network, not {model!r:.100}")
    text = os.fspath(model)
    if not isinstance(text, str):
        raise ArgumentError(f"model must be a name, the folder of a model package, or a Network, not {model!r:.100}")
    shipped = sorted(path.parent.name for path in MODELS.glob("*/manifest.json"))
    if isinstance(model, str) and model in shipped:
        return load_package(MODELS / model)
    if not os.path.isdir(text):
        raise ArgumentError(
            f"{text!r:.300} is neither a shipped network ({', '.join(shipped)}) nor the folder of a model package"
        )
    return load_package(text)


def load_sample(name: str = "mnist") -> tuple[np.ndarray, np.ndarray]:
    """A part of a test set, as many images of each of its ten classes, chosen by chance.

    Parameters
    ----------
    name : {"mnist", "fashion_mnist", "cifar10"}
        Of the data set: 500 images of MNIST, 100 of the others.

    Returns
    -------
    images : numpy.ndarray
        uint8 [n, 28, 28], of CIFAR-10 [n, 32, 32, 3] in RGB.
    labels : numpy.ndarray
        uint8 [n].

    Raises
    ------
    ArgumentError
        If there is no sample of that name.
    DatasetError
        If the file came to harm.

    Examples
    --------
    >>> images, labels = load_sample()
    >>> images.shape, labels.shape
    ((500, 28, 28), (500,))
    >>> load_sample("cifar10")[0].shape
    (100, 32, 32, 3)
    """
    if name not in SAMPLE_NAMES:
        raise ArgumentError(f"there is no sample called {name!r:.80}; there are {', '.join(SAMPLE_NAMES)}")
    path = SAMPLES / f"{name}.npz"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return arrays["images"], arrays["labels"]
    except Exception as error:  # NumPy and zipfile raise many kinds for damaged files; all mean the same here
        raise DatasetError(f"{path} is damaged or missing: {error}; install pynq_cnn again") from error
