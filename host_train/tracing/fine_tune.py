"""Quantisation-aware training of a user's own network, for the answers of its floating-point self."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sized

import torch

from host_train.progress import track
from host_train.quantisation.correct import channel_means, correct
from host_train.quantisation.graph import LayerGraph
from host_train.tracing.calibration import batches_of
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import InputSpec

LEARNING_RATE = 1e-4  # of Adam: weights shall move by steps of int8, not away from what they have learnt


def fine_tuned(
    quantised: LayerGraph, folded: LayerGraph, loader: Iterable[object], spec: InputSpec, epochs: int
) -> LayerGraph:
    """`quantised` trained to give the logits that `folded` gives.

    Labels are not looked at, so that every kind of output can be trained, and images need none. Weights and biases
    learn; the steps of the bytes stay. [Hinton, Vinyals and Dean 2015, arXiv 1503.02531; straight-through gradients as
    in `host_train.quantisation.fake`]

    Parameters
    ----------
    quantised : LayerGraph
        From `calibrations`. It is not changed.
    folded : LayerGraph
        What it was made of.
    loader : iterable
        Batches, as those of calibration; gone through once each epoch.
    spec : InputSpec
        The network's input.
    epochs : int
        How many times.

    Raises
    ------
    ArgumentError
        If the loader gives nothing, or in a later epoch nothing more, as a generator does.
    """
    student = copy.deepcopy(quantised).train()
    optimiser = torch.optim.Adam(student.parameters(), LEARNING_RATE)
    # A cosine over epochs: the last ones settle on the grid.
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    total = len(loader) if isinstance(loader, Sized) else None
    last: torch.Tensor | None = None
    for epoch in range(epochs):
        last = None
        for inputs in track(batches_of(loader, spec), f"fine-tuning {epoch + 1}/{epochs}", "batch", total=total):
            with torch.no_grad():
                wanted = folded(inputs)
            loss = (student(inputs) - wanted).square().mean() / wanted.var().clamp_min(1e-12)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            last = inputs
        if last is None:
            again = "; give a DataLoader or a list, which can be gone through again" if epoch else ""
            raise ArgumentError(f"fine_tune gives no images in epoch {epoch + 1}{again}")
        rates.step()
    assert last is not None
    correct(student, channel_means(folded, last), last)
    return student
