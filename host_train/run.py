"""A run: the folder of one training, from which everything else (evaluation, export) follows.

run.json             recipe, what was changed of it, seed, command
float/  qat/         checkpoint.pt, weights.pt, history.json, curves.png of each training
evaluation.json      on the test set, confusion.png with it
package/             the model package, once exported
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from host_train.data import Dataset, Split, load_dataset
from host_train.data.resize import resize_dataset
from host_train.networks import RECIPES, Recipe, find_recipe
from host_train.quantisation.bits import binary_to_network, is_binary
from host_train.quantisation.calibrate import METHODS, calibrate, quantisable
from host_train.quantisation.choose import Candidate, choose, measure_candidate
from host_train.quantisation.fold import fold
from host_train.quantisation.integers import to_network
from host_train.training.checkpoint import load_weights, write_text
from host_train.training.curves import plot_history
from host_train.training.fit import WEIGHTS, EpochRecord, TensorData, fit, hold_back, seed_everything
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import InputSpec, Network

RUN = "run.json"
CALIBRATION_IMAGES = 2048
COLORS = {1: "L", 3: "RGB"}


@dataclass(frozen=True)
class Settings:
    """What a run changes of its recipe; None leaves it.

    Parameters
    ----------
    recipe : str
        Name of the network.
    seed : int
        0 to 2^32 - 1; determines the initial weights, the validation images and every epoch.
    epochs, batch : int, optional
        Of the training in floating point.
    learning_rate : float, optional
        Of the training in floating point.
    qat_epochs : int, optional
        Of quantisation-aware training; 0 leaves it out.
    threads : int, optional
        torch's; sums in floating point depend on it.
    stochastic : bool
        Of a binary network: draw the binary weights at random while training.
    """

    recipe: str
    seed: int = 0
    epochs: int | None = None
    batch: int | None = None
    learning_rate: float | None = None
    qat_epochs: int | None = None
    threads: int | None = None
    stochastic: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < 2**32:
            raise ArgumentError(f"seed must be an integer from 0 to 2^32 - 1, not {self.seed!r}")
        if self.qat_epochs is not None and self.qat_epochs < 0:
            raise ArgumentError(f"qat_epochs must not be negative, not {self.qat_epochs!r}")
        if self.threads is not None and self.threads < 1:
            raise ArgumentError(f"threads must be at least 1, not {self.threads!r}")
        if not isinstance(self.stochastic, bool):
            raise ArgumentError(f"stochastic must be True or False, not {self.stochastic!r}")

    def resolve(self) -> Recipe:
        """The recipe with these changes; `ArgumentError` if `stochastic` is asked of a network that is not binary."""
        recipe = find_recipe(self.recipe)
        if self.stochastic:
            if recipe.build_stochastic is None:
                binary = ", ".join(one.name for one in RECIPES.values() if one.build_stochastic)
                raise ArgumentError(f"{self.recipe} has no binary weights to draw at random, only {binary} have; leave --stochastic away")
            recipe = replace(recipe, build=recipe.build_stochastic)
        changes = {name: getattr(self, name) for name in ("epochs", "batch", "learning_rate") if getattr(self, name) is not None}
        qat = recipe.qat
        if self.qat_epochs is not None:
            qat = replace(qat or recipe.schedule, epochs=self.qat_epochs) if self.qat_epochs else None
        if qat is not None and self.batch is not None:
            qat = replace(qat, batch=self.batch)
        return replace(recipe, schedule=replace(recipe.schedule, **changes), qat=qat)

    def command(self) -> str:
        """The command line that does it again.

        Examples
        --------
        >>> Settings("lenet", seed=1, epochs=5).command()
        'python -m host_train train lenet --seed 1 --epochs 5'
        """
        given = {name.replace("_", "-"): value for name, value in asdict(self).items() if name != "recipe"}
        given = {name: value for name, value in given.items() if value is not None and value is not False}
        options = [f"--{name}" if value is True else f"--{name} {value}" for name, value in given.items()]
        return " ".join([f"python -m host_train train {self.recipe}", *options])


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
        """A run of `settings` in `folder`; `ArgumentError` if there is one of other settings."""
        path = folder / RUN
        if path.exists() and _read(path) != settings:
            old = _read(path).command()
            raise ArgumentError(f"{folder} is of another run, {old!r}; give the same options, or choose another folder (--out)")
        run = cls._of(folder, settings, data_dir)
        write_text(path, json.dumps({**asdict(settings), "command": settings.command()}, indent=1))
        return run

    @classmethod
    def open(cls, folder: Path, data_dir: Path | None = None) -> Run:
        """The run in `folder`; `ArgumentError` if there is none."""
        path = folder / RUN
        if not path.is_file():
            raise ArgumentError(f"{folder} is no run: {RUN} is not there; train first (python -m host_train train NAME --out {folder})")
        return cls._of(folder, _read(path), data_dir)

    @classmethod
    def _of(cls, folder: Path, settings: Settings, data_dir: Path | None) -> Run:
        recipe = settings.resolve()
        dataset = load_dataset(recipe.dataset, data_dir)
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
        train, validation = self.tensors(self.train, device), self.tensors(self.validation, device)
        stages = [("float", self.recipe.schedule, self._fresh)]
        if self.recipe.qat is not None:
            stages.append(("qat", self.recipe.qat, self._calibrated))
        for number, (stage, schedule, build) in enumerate(stages):
            history = fit(
                build().to(device),
                train,
                validation,
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

    def _calibrated(self) -> nn.Module:
        """Where quantisation-aware training starts: the trained network with the calibration that does best."""
        method = choose(self.calibrations()).label
        return self._calibrate(method)

    def _calibrate(self, method: str) -> nn.Sequential:
        data = self.tensors(self.train[:CALIBRATION_IMAGES])
        return calibrate(fold(self.float_model()), [images for images, _ in data.batches()], self.std, method)

    def float_model(self) -> nn.Module:
        """The network of the best epoch in floating point, in evaluation mode."""
        return load_weights(self.recipe.build(), self.folder / "float" / WEIGHTS)

    def qat_model(self) -> nn.Module:
        """The network of the best quantisation-aware epoch, in evaluation mode; `ArgumentError` if there was no such training."""
        return load_weights(quantisable(fold(self.recipe.build()), self.std), self.folder / "qat" / WEIGHTS)

    def integers(self, model: nn.Module, metadata: dict[str, Any] | None = None) -> Network:
        """A calibrated network, or a binary one as it is, as a Network."""
        make = binary_to_network if is_binary(model) else to_network
        return make(model, self.recipe.name, self.input, self.dataset.spec.classes, metadata)

    def calibrations(self) -> list[Candidate]:
        """The trained network quantised without further training, by each method of calibration."""
        return [measure_candidate(method, self.integers(self._calibrate(method)), self.validation) for method in METHODS]

    def candidates(self) -> list[Candidate]:
        """All ways to quantise this run, each measured on the validation images."""
        model = self.float_model()
        if is_binary(model):
            return [measure_candidate("binary", self.integers(model), self.validation)]
        found = self.calibrations()
        if self.recipe.qat is not None:
            found.append(measure_candidate("qat", self.integers(self.qat_model()), self.validation))
        return found


def _read(path: Path) -> Settings:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return Settings(**{name: value for name, value in stored.items() if name != "command"})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ArgumentError(f"{path} cannot be read: {error}; remove the folder and train again") from error
