"""A run with its data, its input and its trained networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from host_train.data import Dataset, Split, load_dataset
from host_train.data.dataset import COLORS
from host_train.data.divide import hold_back
from host_train.data.own import load_pictures
from host_train.data.resize import resize_dataset
from host_train.networks import Recipe
from host_train.quantisation.calibrate import quantisable
from host_train.quantisation.fold import fold
from host_train.runs.record import RUN, data_digest, network_digest, parse_record, read_record, write_record
from host_train.settings import Settings
from host_train.training.checkpoint import load_weights
from host_train.training.fit import CHECKPOINT, WEIGHTS
from host_train.training.tensors import TensorData
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import InputSpec

STAGES = ("start", "float", "whole", "qat")  # the folders of a run's trainings
CALIBRATION_IMAGES = 2048


@dataclass(frozen=True, eq=False)
class Run:
    """A run with its data, ready to train, to evaluate and to export.

    Parameters
    ----------
    folder : pathlib.Path
        Its files.
    settings : Settings
        Its settings.
    recipe : Recipe
        The recipe with these settings.
    dataset : Dataset
        Its images and labels.
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
        """A run of `settings` in `folder`; `ArgumentError` if one of other settings or on other data has come as far as
        a checkpoint.
        """
        path = folder / RUN
        if path.exists() and any(
            (folder / stage / file).exists() for stage in STAGES for file in (CHECKPOINT, WEIGHTS)
        ):
            found = parse_record(path).settings
            if found != settings:
                raise ArgumentError(
                    f"{folder} is of another run, {found.command()!r}; give the same options, put it aside (--force),"
                    " or choose another folder (--out)"
                )
            return cls.open(folder, data_dir)
        dataset = _load(settings, data_dir)
        run = cls._of(folder, settings, dataset)
        write_record(path, settings, dataset, run.recipe)
        return run

    @classmethod
    def open(cls, folder: Path, data_dir: Path | None = None) -> Run:
        """The run in `folder`; `ArgumentError` if there is none, or it was trained on other data than those that are
        found.
        """
        stored = read_record(folder)
        settings = stored.settings
        dataset = _load(settings, data_dir)
        if stored.network not in (None, network_digest(settings.resolve(len(dataset.spec.classes)))):
            raise ArgumentError(
                f"{folder} is of another network than {settings.recipe} is in this version; use the version that"
                " trained it, or train again in another folder (--out)"
            )
        if stored.data not in (None, data_digest(dataset)):
            raise ArgumentError(
                f"{folder} was trained on other data than those of {dataset.source}: name the folder of its own by"
                " --data-dir, or remove that option if they were the published ones"
            )
        return cls._of(folder, settings, dataset)

    @classmethod
    def _of(cls, folder: Path, settings: Settings, dataset: Dataset) -> Run:
        recipe = settings.resolve(len(dataset.spec.classes))
        if recipe.size is not None:
            dataset = resize_dataset(dataset, *recipe.size)
        if dataset.held_back:
            train, validation = dataset.train[: -dataset.held_back], dataset.train[-dataset.held_back :]
        else:
            train, validation = division(recipe, dataset.train, settings.seed)
        return cls(folder, settings, recipe, dataset, train, validation)

    @property
    def mean(self) -> tuple[float, ...]:
        """Per-channel mean of the images in 0..1, which is subtracted from them."""
        return self.recipe.mean or self.dataset.spec.mean

    @property
    def std(self) -> tuple[float, ...]:
        """Per-channel standard deviation of the images in 0..1, which they are divided by."""
        return self.recipe.std or self.dataset.spec.std

    @property
    def input(self) -> InputSpec:
        """The network's input."""
        height, width, channels = self.dataset.spec.shape
        return InputSpec(
            height, width, channels, COLORS[channels], self.mean, self.std, self.recipe.fit, self.recipe.invert
        )

    def tensors(self, split: Split, device: str = "cpu") -> TensorData:
        """A split as tensors, with what normalises it."""
        return TensorData.of(split, self.mean, self.std, device)

    def calibration_batches(self) -> list[torch.Tensor]:
        """Normalised training images to calibrate with, float32 [n, channels, height, width] each."""
        return [images for images, _ in self.tensors(self.train[:CALIBRATION_IMAGES]).batches()]

    def float_model(self) -> nn.Module:
        """The network that training in floating point ends with, in evaluation mode; `ArgumentError` if it has not
        ended.
        """
        return load_weights(self.recipe.build(), self._weights(self.recipe.result))

    def qat_model(self) -> nn.Module:
        """The network of the best quantisation-aware epoch, in evaluation mode; `ArgumentError` if that training has
        not ended.
        """
        return load_weights(quantisable(fold(self.recipe.build()), self.std), self._weights("qat"))

    def _weights(self, stage: str) -> Path:
        path = self.folder / stage / WEIGHTS
        if not path.is_file():
            again = f"{self.settings.command()} --out {self.folder} --resume"
            raise ArgumentError(f"{path} is not there, this training has not ended; go on with it: {again}")
        return path

    def metadata(self, quantisation: str, accuracy: dict[str, float], after: str = "", **more: Any) -> dict[str, Any]:
        """Metadata for a package of this run.

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


def division(recipe: Recipe, train: Split, seed: int) -> tuple[Split, Split]:
    """The training set divided as a training of that seed divides it: what is trained on, and what is held back."""
    # A small data set of the user's own gives 10 % at most.
    return hold_back(train, min(recipe.validation, len(train) // 10), seed)


def _load(settings: Settings, data_dir: Path | None) -> Dataset:
    if settings.pictures is None:
        return load_dataset(settings.resolve().dataset, data_dir)
    return load_pictures(settings.pictures, settings.picture(), data_dir)
