"""The subject of a compression: a trained network of any kind with its data, and how it is fine-tuned."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from torch import nn

from host_train.compression.dense import dense_model
from host_train.runs.run import Run
from host_train.training.loader import Loader
from host_train.training.measure import measure
from host_train.training.schedule import Schedule
from host_train.training.tensors import TensorData
from pynq_cnn.errors import ArgumentError

Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True, eq=False)
class Subject:
    """A trained network with its data.

    Parameters
    ----------
    model : torch.nn.Module
        Trained; nothing here changes it.
    validation : TensorData or Loader
        What accuracies are measured on.
    train : TensorData or Loader, optional
        What is fine-tuned on.
    schedule : Schedule
        Of fine-tuning; epochs and learning rate are said where it is done.
    name : str
        What it is, in files: a study goes on only with what it began with.
    title : str
        Of plots.
    std : tuple of float
        Per-channel deviation that the images were divided by (`host_train.compression.share.share`).
    seed : int
        Of fine-tuning.
    device : str
        torch's, on which copies of the model are measured and trained.
    """

    model: nn.Module
    validation: TensorData | Loader
    train: TensorData | Loader | None
    schedule: Schedule
    name: str
    title: str
    std: tuple[float, ...] = (1.0,)
    seed: int = 0
    device: str = "cpu"

    @property
    def images(self) -> str:
        """The images that accuracies are measured on."""
        return f"{len(self.validation)} validation images"

    def copy(self) -> nn.Module:
        """A copy of the model, on the device."""
        return copy.deepcopy(self.model).to(self.device)

    def measure(self, model: nn.Module) -> tuple[float, float]:
        """Mean cross-entropy and accuracy, 0 to 1, of a model like it, on the images of `validation`."""
        return measure(model, self.validation)

    def tuning(self, epochs: int, learning_rate: float) -> tuple[Any, Any, Schedule]:
        """Arguments for `host_train.training.fit.fit` to fine-tune; `ArgumentError` if there is nothing to train on."""
        if self.train is None:
            raise ArgumentError(f"{self.title} has nothing to fine-tune on; give it train=, or epochs=0")
        return self.train, self.validation, replace(self.schedule, epochs=epochs, learning_rate=learning_rate)


def tuning_schedule(run: Run) -> Schedule:
    """How a run's network is fine-tuned: as it was trained, without its teacher and not compiled."""
    # Masks and codebooks are computed in every step by Python that torch.compile would have to trace.
    return replace(run.recipe.schedule, compiled=False, distillation=0.0)


def subject_of(run: Run, device: str = "cpu") -> Subject:
    """The trained network of a run, folded, with the images that it was trained on and those that were held back."""
    schedule = tuning_schedule(run)
    train, validation = (run.tensors(split, device) for split in (run.train, run.validation))
    title = f"{run.recipe.name} on {run.dataset.spec.title}"
    name, seed = run.settings.command(), run.settings.seed
    return Subject(dense_model(run), validation, train, schedule, name, title, run.std, seed, device)


def own_subject(
    model: nn.Module,
    validation: Any,
    train: Any = None,
    *,
    std: tuple[float, ...] = (1.0,),
    seed: int = 0,
    device: str = "cpu",
    schedule: Schedule | None = None,
) -> Subject:
    """A network of one's own.

    Parameters
    ----------
    model : torch.nn.Module
        Trained; takes inputs of the data, gives logits [n, classes].
    validation, train : DataLoader, iterable or pair of tensors
        Inputs and labels (`host_train.training.loader.Loader`): what is measured on, and, if anything is fine-tuned,
        what is trained on.
    std, seed, device
        As of `Subject`.
    schedule : Schedule, optional
        Of fine-tuning: batch of two tensors (32 if not given), weight decay and optimiser.

    Examples
    --------
    >>> import torch
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    >>> subject = own_subject(model, (torch.rand(10, 1, 2, 2), torch.arange(10) % 2))
    >>> loss, accuracy = subject.measure(subject.copy())
    >>> 0 <= accuracy <= 1
    True
    """
    if not isinstance(model, nn.Module):
        raise ArgumentError(f"model must be a torch.nn.Module, not a {type(model).__name__}")
    measured = Loader(validation, device)
    trained = None if train is None else Loader(train, device)
    name = type(model).__name__
    return Subject(model, measured, trained, schedule or Schedule(1, 32), name, name, std, seed, device)
