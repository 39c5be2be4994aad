"""Loss and accuracy over the epochs, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator

from host_train.titles import set_title
from host_train.training.record import EpochRecord


class _Plain(LogFormatter):
    """Plain numbers, where `LogFormatter` finds room: of less than two decades, ticks between powers of ten too."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def plot_history(history: Sequence[EpochRecord], path: Path, title: str) -> None:
    """Write a PNG with the loss on the left and the error in percent on the right, both on logarithmic scales, the best
    epoch marked.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    set_title(figure, title)
    loss, error = figure.subplots(1, 2)
    epochs = [record.epoch for record in history]
    best = max((record for record in history if record.best), key=lambda record: record.epoch)
    parts = [("train", "tab:blue")]
    if history[0].validation_loss is not None:  # in a training on all images there is none
        parts.append(("validation", "tab:orange"))
    for part, colour in parts:
        label = "training (distorted)" if part == "train" else part
        loss.plot(
            epochs, [getattr(record, f"{part}_loss") for record in history], color=colour, marker=".", label=label
        )
        # 0 % has no place on a logarithmic scale: it is drawn at 0.01 %.
        errors = [max(100 * (1 - getattr(record, f"{part}_accuracy")), 0.01) for record in history]
        error.plot(epochs, errors, color=colour, marker=".", label=label)
    for axes, name in ((loss, "cross-entropy"), (error, "error, %")):
        axes.axvline(best.epoch, color="grey", linewidth=0.8, linestyle="--", label=f"best: epoch {best.epoch}")
        axes.set(xlabel="epoch", ylabel=name, yscale="log")
        axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)  # of one epoch too, there is a whole number to put a tick at
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(_Plain(minor_thresholds=(2, 0.4)))
        axes.grid(alpha=0.3, which="both")
        axes.legend()
    figure.savefig(path, dpi=120)
