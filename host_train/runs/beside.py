"""Trainings beside each other: accuracy over the epochs, and what each reached, with its spread where seeds differ."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from host_train import files
from host_train.runs.record import read_settings
from host_train.settings import Settings
from host_train.titles import set_title
from host_train.training.fit import HISTORY
from pynq_cnn.errors import ArgumentError
from pynq_cnn.table import markdown_table


@dataclass(frozen=True, eq=False)
class Training:
    """One run's training in floating point.

    Parameters
    ----------
    settings : Settings
        What it was asked for.
    history : list of dict
        Of each epoch.
    top1 : float, optional
        On the test set, 0 to 1; None where the run has not been evaluated, as its training has not ended.
    """

    settings: Settings
    history: list[dict[str, Any]]
    top1: float | None


def read_training(folder: Path) -> Training:
    """The training of a run; `ArgumentError` if it has not come as far as one epoch."""
    settings, path = read_settings(folder), folder / "float" / HISTORY
    try:
        history = json.loads(path.read_text(encoding="utf-8"))
        measured = folder / "evaluation.json"
        top1 = json.loads(measured.read_text(encoding="utf-8"))["top1"] if measured.is_file() else None
        if not history or not all(isinstance(one.get("validation_accuracy"), float) for one in history):
            raise ValueError("it has no epochs")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ArgumentError(f"{path} cannot be read: {error}; train first, or again") from error
    return Training(settings, history, top1)


def grouped(trainings: Sequence[Training]) -> dict[str, list[Training]]:
    """Trainings by what distinguishes them but for their seeds: `NETWORK`, and the options that not all have.

    Raises
    ------
    ArgumentError
        If the same training is there twice.
    """
    seen: list[Settings] = []
    for one in trainings:
        if one.settings in seen:
            raise ArgumentError(f"{one.settings.command()!r} is there twice; leave one away")
        seen.append(one.settings)
    settings = [asdict(replace(one.settings, seed=0, threads=None)) for one in trainings]
    differing = [name for name in settings[0] if len({json.dumps(one[name]) for one in settings}) > 1]
    groups: dict[str, list[Training]] = {}
    for told_of, training in zip(settings, trainings):
        told = [str(told_of["recipe"])]
        for name in differing:
            if name != "recipe":
                value = told_of[name]
                told.append(name if value is True else f"{name.replace('_', '-')} {_value(value)}")
        groups.setdefault(", ".join(told), []).append(training)
    return groups


def _value(value: Any) -> str:
    return "default" if value is None else "no" if value is False else str(value)


def to_markdown(groups: dict[str, list[Training]]) -> str:
    """A line a group: seeds, validation accuracy of the best epoch, last loss, test accuracy, time of an epoch."""
    rows = [["training", "seeds", "best validation, %", "last training loss", "top-1 on the test set, %", "s an epoch"]]
    for name, some in groups.items():
        best = [100 * max(one["validation_accuracy"] for one in training.history) for training in some]
        loss = [training.history[-1]["train_loss"] for training in some]
        test = [100 * training.top1 for training in some if training.top1 is not None]
        seconds = [one["seconds"] for training in some for one in training.history if one.get("seconds") is not None]
        rows.append(
            [
                name,
                ", ".join(str(training.settings.seed) for training in some),
                _spread(best, ".2f"),
                _spread(loss, ".4f"),
                _spread(test, ".2f") if test else "",
                f"{np.median(seconds):.2f}" if seconds else "",
            ]
        )
    return markdown_table(rows)


def _spread(some: Sequence[float], form: str) -> str:
    mean = f"{np.mean(some):{form}}"
    return mean if len(some) == 1 else f"{mean} ± {np.std(some, ddof=1):{form}}"


def write_csv(groups: dict[str, list[Training]], path: Path) -> None:
    """Every epoch of every training."""
    names = ("epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
    rows = [
        (name, training.settings.seed, *(epoch[field] for field in names))
        for name, some in groups.items()
        for training in some
        for epoch in training.history
    ]
    files.write_csv(path, ("training", "seed", *names), rows)


def plot_beside(groups: dict[str, list[Training]], path: Path, title: str) -> None:
    """Validation accuracy and training loss over the epochs: means over seeds, shaded from the least to the most."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    several = any(len(some) > 1 for some in groups.values())
    set_title(figure, f"{title}\nmeans over the seeds, shaded from the least to the most" if several else title)
    left, right = figure.subplots(1, 2)
    for axes, field, factor, label in (
        (left, "validation_accuracy", 100, "accuracy on the images held back, %"),
        (right, "train_loss", 1, "training loss"),
    ):
        for name, some in groups.items():
            length = min(len(training.history) for training in some)
            values = np.array([[factor * one[field] for one in training.history[:length]] for training in some])
            epochs = np.arange(1, length + 1)
            (line,) = axes.plot(epochs, values.mean(0), label=name, marker="." if length < 30 else None)
            if len(some) > 1:
                axes.fill_between(epochs, values.min(0), values.max(0), color=line.get_color(), alpha=0.2, linewidth=0)
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
