"""Accuracy against threshold and sparsity, with and without a little fine-tuning."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from matplotlib.figure import Figure

from host_train.compression.prune import kept, masked, prune_to, threshold_keep
from host_train.compression.subject import Subject
from host_train.files import write_text
from host_train.progress import track
from host_train.training.fit import CHECKPOINT, WEIGHTS, fit
from pynq_cnn.checks import integer
from pynq_cnn.errors import ArgumentError

STORED = "sweep.json"
THRESHOLDS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5)


@dataclass(frozen=True)
class SweepPoint:
    """One threshold.

    Parameters
    ----------
    threshold : float
        In standard deviations of each layer's weights, or in their own units.
    sparsity : float
        Part of all weights that is 0, 0 to 1.
    layers : dict
        The same of each layer.
    accuracy : float
        On the validation images, 0 to 1, as pruned.
    tuned : float, optional
        After fine-tuning.
    """

    threshold: float
    sparsity: float
    layers: dict[str, float]
    accuracy: float
    tuned: float | None = None


def sweep(
    subject: Subject,
    folder: Path,
    thresholds: Sequence[float] = THRESHOLDS,
    *,
    absolute: bool = False,
    epochs: int = 0,
    learning_rate: float = 1e-3,
    progress: bool = True,
    report: Callable[[SweepPoint], None] | None = None,
) -> list[SweepPoint]:
    """Prune the trained network by each threshold, from the same weights, and measure it on the validation images.

    Points that are in the folder from an interrupted sweep are not measured again.

    Parameters
    ----------
    subject : Subject
        The network with its data; those to train on are needed for fine-tuning alone.
    folder : pathlib.Path
        Gets `sweep.json` and the three plots.
    thresholds : sequence of float
        In standard deviations of each layer's weights.
    absolute : bool
        In units of the weights themselves instead.
    epochs : int
        Of fine-tuning at each; 0 for none.
    learning_rate : float
        Its highest.
    progress : bool
        Show a bar where there is a terminal.
    report : callable, optional
        Called with every point.

    Raises
    ------
    ArgumentError
        Without thresholds, for a negative one, to fine-tune without images to train on, or if the folder's sweep had
        other settings.
    """
    if not thresholds:
        raise ArgumentError("there are no thresholds to sweep over")
    epochs = integer("epochs", epochs, 0)
    path = folder / STORED
    about: dict[str, object] = {"of": subject.name, "epochs": epochs, "learning_rate": learning_rate}
    about |= {"absolute": True} if absolute else {}  # sweeps of before had standard deviations alone
    points = {point.threshold: point for point in _earlier(path, about)}
    tune = subject.tuning(epochs, learning_rate) if epochs else None
    _store(path, about, points)  # before the first point: its checkpoint is of this sweep
    for threshold in track(sorted(set(thresholds) - set(points)), "sweep", "threshold", progress):
        model = masked(subject.copy())
        prune_to(model, threshold_keep(subject.model, threshold, absolute))
        accuracy, tuned = subject.measure(model)[1], None
        counts = kept(model)
        if tune is not None:
            place = folder / f"threshold-{threshold:g}"
            fit(model, *tune, place, seed=subject.seed, resume=True, progress=progress)
            tuned = subject.measure(model)[1]
            for name in (CHECKPOINT, WEIGHTS):
                (place / name).unlink()  # the point is all that is wanted of it
        layers = {name: 1 - left / size for name, (left, size) in counts.items()}
        sparsity = 1 - sum(left for left, _ in counts.values()) / sum(size for _, size in counts.values())
        points[threshold] = SweepPoint(threshold, sparsity, layers, accuracy, tuned)
        _store(path, about, points)
        if report is not None:
            report(points[threshold])
    chosen = [points[one] for one in sorted(set(thresholds))]
    plot_sweep(chosen, folder, subject.title, absolute)
    return chosen


def _store(path: Path, about: dict[str, object], points: dict[float, SweepPoint]) -> None:
    write_text(path, json.dumps({**about, "points": [asdict(points[one]) for one in sorted(points)]}, indent=1))


def _earlier(path: Path, about: dict[str, object]) -> list[SweepPoint]:
    if not path.exists():
        return []
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        points = [SweepPoint(**point) for point in stored.pop("points")]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ArgumentError(f"{path} cannot be read: {error}; remove it and sweep again") from error
    begun = points or any(True for _ in path.parent.glob(f"threshold-*/{CHECKPOINT}"))
    if begun and stored != about:
        raise ArgumentError(
            f"{path} is of another sweep, {stored}; put it aside (--force), or choose another folder (--out)"
        )
    return points


def plot_sweep(points: Sequence[SweepPoint], folder: Path, title: str, absolute: bool = False) -> None:
    """Write threshold-accuracy.png, threshold-sparsity.png and sparsity-accuracy.png; thresholds in standard deviations
    or `absolute`.
    """
    thresholds = [point.threshold for point in points]
    sparsities = [100 * point.sparsity for point in points]
    accuracies = {"as pruned": [100 * point.accuracy for point in points]}
    if all(point.tuned is not None for point in points):
        accuracies["fine-tuned"] = [100 * (point.tuned or 0.0) for point in points]
    by_layer = {name: [100 * point.layers[name] for point in points] for name in points[0].layers}
    unit, accuracy, sparsity = (
        "threshold, of absolute weights" if absolute else "threshold, standard deviations of a layer",
        "validation accuracy, %",
        "weights that are 0, %",
    )
    _plot(folder / "threshold-accuracy.png", title, unit, accuracy, thresholds, accuracies)
    _plot(
        folder / "threshold-sparsity.png",
        title,
        unit,
        sparsity,
        thresholds,
        {"all weights": sparsities, **by_layer},
    )
    _plot(folder / "sparsity-accuracy.png", title, sparsity, accuracy, sparsities, accuracies)


def _plot(path: Path, title: str, across: str, up: str, x: list[float], lines: dict[str, list[float]]) -> None:
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for label, y in lines.items():
        axes.plot(x, y, marker="o", markersize=3, label=label)
    axes.set(xlabel=across, ylabel=up, title=title)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
