"""Loss and accuracy over the epochs, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from host_train.training.fit import EpochRecord


def plot_history(history: Sequence[EpochRecord], path: Path, title: str) -> None:
    """Write a PNG with the loss on the left and the error in percent on the right, both on logarithmic scales, the best epoch marked."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    figure.suptitle(title)
    loss, error = figure.subplots(1, 2)
    epochs = [record.epoch for record in history]
    best = max((record for record in history if record.best), key=lambda record: record.epoch)
    for part, colour in (("train", "tab:blue"), ("validation", "tab:orange")):
        label = "training (distorted)" if part == "train" else part
        loss.plot(epochs, [getattr(record, f"{part}_loss") for record in history], color=colour, label=label)
        # 0 % has no place on a logarithmic scale: it is drawn at a tenth of a per mille.
        errors = [max(100 * (1 - getattr(record, f"{part}_accuracy")), 0.01) for record in history]
        error.plot(epochs, errors, color=colour, label=label)
    for axes, name in ((loss, "cross-entropy"), (error, "error, %")):
        axes.axvline(best.epoch, color="grey", linewidth=0.8, linestyle="--", label=f"best: epoch {best.epoch}")
        axes.set(xlabel="epoch", ylabel=name, yscale="log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.grid(alpha=0.3, which="both")
        axes.legend()
    figure.savefig(path, dpi=120)
