"""Curves of a training."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from host_train.training.curves import plot_history
from host_train.training.record import EpochRecord


def drawn(losses: list[float], monkeypatch) -> Figure:
    """The figure of a history with these losses; accuracies are 1 less a tenth of them."""
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, dpi: figures.append(self))
    history = [EpochRecord(i, x, 1 - x / 10, x, 1 - x / 10, 0.1, i == 1) for i, x in enumerate(losses, start=1)]
    plot_history(history, Path("curves.png"), "test")
    figures[0].draw_without_rendering()
    return figures[0]


def test_one_epoch_is_seen(monkeypatch):
    for axes in drawn([2.3], monkeypatch).axes:
        lines = [line for line in axes.lines if line.get_label() != "best: epoch 1"]
        assert len(lines) == 2 and all(line.get_marker() not in ("None", "", None) for line in lines)


@pytest.mark.parametrize("epochs", [1, 2, 3, 12, 100])
def test_epochs_are_whole_numbers(monkeypatch, epochs):
    for axes in drawn([2.0] * epochs, monkeypatch).axes:
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
        assert ticks and all(1 <= tick.get_loc() == int(tick.label1.get_text()) <= epochs for tick in ticks)


@pytest.mark.parametrize("losses", [[2.3, 2.1, 2.0], [4.0, 2.0, 0.9], [3.0, 0.05], [3.0, 0.2, 0.004], [0.5]])
def test_ticks_are_plain_numbers(monkeypatch, losses):
    for axes in drawn(losses, monkeypatch).axes:
        low, high = axes.get_ylim()
        ticks = [*axes.yaxis.get_major_ticks(), *axes.yaxis.get_minor_ticks()]
        texts = [tick.label1.get_text() for tick in ticks if low <= tick.get_loc() <= high and tick.label1.get_text()]
        assert texts and all(float(text) > 0 for text in texts)
