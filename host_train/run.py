"""A run: the folder of one training, from which everything else (evaluation, export) follows.

run.json             recipe, what was changed of it, seed, command, digests of the training data and of the network
float/  qat/         checkpoint.pt, weights.pt, history.json, curves.png of each training
evaluation.json      on the test set, confusion.png with it
package/             the model package, once exported
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from host_train.data import Dataset, Split, load_dataset
from host_train.data.dataset import COLORS, digest
from host_train.data.resize import resize_dataset
from host_train.networks import Recipe
from host_train.quantisation.bits import binary_to_network, is_binary
from host_train.quantisation.calibrate import METHODS, calibrations, quantisable
from host_train.quantisation.choose import Candidate, choose, measure_candidate
from host_train.quantisation.fold import fold
from host_train.quantisation.integers import to_network
from host_train.settings import Settings
from host_train.training.checkpoint import load_weights, write_text
from host_train.training.curves import plot_history
from host_train.training.fit import CHECKPOINT, WEIGHTS, EpochRecord, TensorData, fit, hold_back, seed_everything
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import InputSpec, Network

RUN = "run.json"
STAGES = ("float", "qat")  # the folders of a run's trainings
DATA, NETWORK = "data", "network"
CALIBRATION_IMAGES = 2048
OPTIONS = ("kernel_size", "stride", "padding", "eps", "input_step")  # of layers, which show in no shape of a weight


@dataclass(frozen=True, eq=False)
class Run:
    """A run with its data, ready to train, to evaluate and to export.

    Parameters
    ----------
    folder : pathlib.Path
        Its files.
    settings : Settings
        What it was asked for.
    recipe : Recipe
        The recipe with that.
    dataset : Dataset
        What it is trained and evaluated on.
    train, validation : Split
        The training set divided; the test set is for reporting only.
    """

    folder: Path
    settings: Settings
    recipe: Recipe
    dataset: Dataset
    train: Split
    validation: Split

    @classmethod
    def create(cls, folder: Path, settings: Settings, data_dir: Path | None = None) -> Run:
        """A run of `settings` in `folder`; `ArgumentError` if one of other settings or on other data has come as far as a checkpoint."""
        path = folder / RUN
        if path.exists() and any((folder / stage / file).exists() for stage in STAGES for file in (CHECKPOINT, WEIGHTS)):
            found = _read(path).settings
            if found != settings:
                raise ArgumentError(
                    f"{folder} is of another run, {found.command()!r}; give the same options, put it aside (--force), or choose another "
                    "folder (--out)"
                )
            return cls.open(folder, data_dir)
        dataset = _load(settings, data_dir)
        run = cls._of(folder, settings, dataset)
        digests = {DATA: data_digest(dataset), NETWORK: network_digest(run.recipe)}
        write_text(path, json.dumps({**asdict(settings), "command": settings.command(), **digests}, indent=1))
        return run

    @classmethod
    def open(cls, folder: Path, data_dir: Path | None = None) -> Run:
        """The run in `folder`; `ArgumentError` if there is none, or it was trained on other data than those that are found."""
        stored = _read_run(folder)
        settings = stored.settings
        if stored.network not in (None, network_digest(settings.resolve())):
            raise ArgumentError(
                f"{folder} is of another network than {settings.recipe} is in this version; use the version that trained it, or train "
                "again in another folder (--out)"
            )
        dataset = _load(settings, data_dir)
        if stored.data not in (None, data_digest(dataset)):
            raise ArgumentError(
                f"{folder} was trained on other data than those of {dataset.source}: name the folder of its own by --data-dir, "
                "or leave that away if they were the published ones"
            )
        return cls._of(folder, settings, dataset)

    @classmethod
    def _of(cls, folder: Path, settings: Settings, dataset: Dataset) -> Run:
        recipe = settings.resolve()
        if recipe.size is not None:
            dataset = resize_dataset(dataset, *recipe.size)
        # A small data set of the user's own gives a tenth at most.
        train, validation = hold_back(dataset.train, min(recipe.validation, len(dataset.train) // 10), settings.seed)
        return cls(folder, settings, recipe, dataset, train, validation)

    @property
    def mean(self) -> tuple[float, ...]:
        """What is taken from images in 0..1, per channel."""
        return self.recipe.mean or self.dataset.spec.mean

    @property
    def std(self) -> tuple[float, ...]:
        """What they are then divided by, per channel."""
        return self.recipe.std or self.dataset.spec.std

    @property
    def input(self) -> InputSpec:
        """The network's input."""
        height, width, channels = self.dataset.spec.shape
        return InputSpec(height, width, channels, COLORS[channels], self.mean, self.std, self.recipe.fit, self.recipe.invert)

    def tensors(self, split: Split, device: str = "cpu") -> TensorData:
        """A split as tensors, with what normalises it."""
        return TensorData.of(split, self.mean, self.std, device)

    def fit(
        self,
        *,
        resume: bool = False,
        device: str = "cpu",
        progress: bool = True,
        report: Callable[[str, int, EpochRecord], None] | None = None,
    ) -> None:
        """Train in floating point, then quantisation-aware if the recipe says so; resumes either.

        Parameters
        ----------
        resume : bool
            Go on where an interrupted run stopped.
        device : str
            torch's.
        progress : bool
            Show a bar where there is a terminal.
        report : callable, optional
            Called after every epoch with the training's name, its number of epochs and the epoch's record.
        """
        stages = [("float", self.recipe.schedule, self._fresh)]
        if self.recipe.qat is not None:
            stages.append(("qat", self.recipe.qat, partial(self._calibrated, progress)))
        for number, (stage, schedule, build) in enumerate(stages):
            place = stage_device(stage, device)
            history = fit(
                build().to(place),
                self.tensors(self.train, place),
                self.tensors(self.validation, place),
                schedule,
                self.folder / stage,
                seed=self.settings.seed + number * 2**32,  # no epoch of one draws what one of the other draws
                resume=resume,
                progress=progress,
                report=None if report is None else partial(report, stage, schedule.epochs),
            )
            plot_history(history, self.folder / stage / "curves.png", f"{self.recipe.name} on {self.dataset.spec.title}: {stage}")

    def _fresh(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            seed_everything(self.settings.seed, 0)
            return self.recipe.build()

    def _calibrated(self, progress: bool) -> nn.Module:
        """Where quantisation-aware training starts: the trained network with the calibration that does best."""
        forms = self._calibrations(progress)
        return forms[choose(self.measured(forms, progress)).label]

    def _calibrations(self, progress: bool) -> dict[str, nn.Sequential]:
        """The trained network quantised without further training, by each method of calibration."""
        return calibrations(fold(self.float_model()), self.calibration_batches(), self.std, progress=progress)

    def calibration_batches(self) -> list[torch.Tensor]:
        """Normalised training images to calibrate with, float32 [n, channels, height, width] each."""
        return [images for images, _ in self.tensors(self.train[:CALIBRATION_IMAGES]).batches()]

    def float_model(self) -> nn.Module:
        """The network of the best epoch in floating point, in evaluation mode; `ArgumentError` if its training has not ended."""
        return load_weights(self.recipe.build(), self._weights("float"))

    def qat_model(self) -> nn.Module:
        """The network of the best quantisation-aware epoch, in evaluation mode; `ArgumentError` if that training has not ended."""
        return load_weights(quantisable(fold(self.recipe.build()), self.std), self._weights("qat"))

    def _weights(self, stage: str) -> Path:
        path = self.folder / stage / WEIGHTS
        if not path.is_file():
            again = f"{self.settings.command()} --out {self.folder} --resume"
            raise ArgumentError(f"{path} is not there, this training has not ended; go on with it: {again}")
        return path

    def integers(self, model: nn.Module, metadata: dict[str, Any] | None = None) -> Network:
        """A calibrated network, or a binary one as it is, as a Network."""
        make = binary_to_network if is_binary(model) else to_network
        return make(model, self.recipe.name, self.input, self.dataset.spec.classes, metadata)

    def metadata(self, quantisation: str, accuracy: dict[str, float], after: str = "", **more: Any) -> dict[str, Any]:
        """What a package of this run says of itself.

        Parameters
        ----------
        quantisation : str
            How it was put in integers.
        accuracy : dict
            Top-1 on the test set, by what was measured.
        after : str
            Command that followed the training.
        **more
            Further entries.
        """
        spec, command = self.dataset.spec, self.settings.command()
        return {
            "dataset": spec.title,
            "dataset_original": self.dataset.original,
            "recipe": f"{command} && {after}" if after else command,
            "quantisation": quantisation,
            "seed": self.settings.seed,
            "torch": torch.__version__,
            "parameters": sum(p.numel() for p in self.recipe.build().parameters()),
            **more,
            "accuracy": {**accuracy, "images": len(self.dataset.test)},
        }

    def measured(self, forms: Mapping[str, nn.Module], progress: bool = True) -> list[Candidate]:
        """Calibrated or binary networks, by how they were made, in integers and measured on the validation images."""
        return [measure_candidate(label, self.integers(form), self.validation, progress) for label, form in forms.items()]

    def ways(self) -> tuple[str, ...]:
        """Labels of all ways to quantise this run."""
        if self.recipe.binary:
            return ("binary",)
        return (*METHODS, "qat") if self.recipe.qat is not None else tuple(METHODS)

    def candidates(self, how: str = "auto") -> list[Candidate]:
        """The ways to quantise this run, each measured on the validation images.

        Parameters
        ----------
        how : str
            One of `ways()`, which must be among them, or `"auto"` for all. What has been trained quantisation-aware is left out where
            another is asked for; that training need not have ended.

        Raises
        ------
        ArgumentError
            If there is no such way, or a training that it needs has not ended.
        """
        ways = self.ways()
        if how not in ("auto", *ways):
            raise ArgumentError(f"the way to quantise must be one of auto, {', '.join(ways)} for this run, not {how!r}")
        if ways == ("binary",):
            return self.measured({"binary": self.float_model()})
        trained = {"qat": self.qat_model()} if "qat" in ways and how in ("auto", "qat") else {}  # first: it may be missing
        return self.measured({**self._calibrations(progress=True), **trained})


def stage_device(stage: str, device: str) -> str:
    """Where a training of a run is done that is to be on `device`: PyTorch has no fake quantisation for Apple's GPUs.

    Examples
    --------
    >>> stage_device("float", "mps"), stage_device("qat", "mps"), stage_device("qat", "cuda")
    ('mps', 'cpu', 'cuda')
    """
    return "cpu" if stage == "qat" and device == "mps" else device


def data_digest(dataset: Dataset) -> str:
    """SHA-256 of the SHA-256s of the training images and labels; those of published data are known, and were compared in loading."""
    arrays = {"train_images": dataset.train.images, "train_labels": dataset.train.labels}
    digests = [dataset.spec.digests[name] if dataset.original else digest(array) for name, array in arrays.items()]
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()


def network_digest(recipe: Recipe) -> str:
    """SHA-256 of what a recipe's weights alone do not tell: its layers in their order, their options, and what images become for them."""
    with torch.random.fork_rng(devices=[]):  # what a caller draws afterwards does not depend on this
        model = recipe.build()
    layers = [(name, type(layer).__name__, *(str(getattr(layer, one, "")) for one in OPTIONS)) for name, layer in model.named_modules()]
    return hashlib.sha256(repr((layers, recipe.mean, recipe.std, recipe.size)).encode()).hexdigest()


def read_settings(folder: Path) -> Settings:
    """What the run in `folder` was asked for, without its data; `ArgumentError` if there is none."""
    return _read_run(folder).settings


def _load(settings: Settings, data_dir: Path | None) -> Dataset:
    return load_dataset(settings.resolve().dataset, data_dir)


@dataclass(frozen=True)
class _Stored:
    """What a run was asked for, and the digests of its data and network, which older runs do not have."""

    settings: Settings
    data: str | None
    network: str | None


def _read_run(folder: Path) -> _Stored:
    path = folder / RUN
    if not path.is_file():
        raise ArgumentError(f"{folder} is no run: {RUN} is not there; train first (python -m host_train train NAME --out {folder})")
    return _read(path)


def _read(path: Path) -> _Stored:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        settings = Settings(**{name: value for name, value in stored.items() if name not in ("command", DATA, NETWORK)})
        return _Stored(settings, stored.get(DATA), stored.get(NETWORK))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ArgumentError(f"{path} cannot be read: {error}; remove the folder and train again") from error
