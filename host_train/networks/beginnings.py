"""Beginnings of the weights: how signals and gradients come through, and whether a network trains."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from pynq_cnn.table import markdown_table


@dataclass(frozen=True)
class Beginning:
    """One network with one beginning.

    Parameters
    ----------
    network, initial : str
        Which.
    logits : float
        Standard deviation of the logits over images and classes, before any step, each image's mean taken off.
    gradient : float
        Norm of the first layer's gradient, by the norm of its weights.
    losses : tuple of float
        Of every step.
    """

    network: str
    initial: str
    logits: float
    gradient: float
    losses: tuple[float, ...]


def begin(
    model: nn.Module,
    network: str,
    initial: str,
    batches: Iterable[tuple[torch.Tensor, torch.Tensor]],
    learning_rate: float,
) -> Beginning:
    """Train `model` over `batches` of normalised images and labels by AdamW at one rate, and look at its start.

    Examples
    --------
    >>> batch = torch.randn(8, 4), torch.arange(8) % 2
    >>> start = begin(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), "n", "default", [batch] * 5, 0.01)
    >>> start.logits > 0, start.gradient > 0, len(start.losses), start.losses[-1] < start.losses[0]
    (True, True, 5, True)
    """
    first = next(layer for layer in model.modules() if isinstance(layer, (nn.Conv2d, nn.Linear)))
    optimiser = torch.optim.AdamW(model.parameters(), lr=learning_rate)
    logits = gradient = 0.0
    losses: list[float] = []
    model.train()
    for images, labels in batches:
        given = model(images).reshape(len(images), -1)
        loss = F.cross_entropy(given, labels)
        optimiser.zero_grad()
        loss.backward()
        if not losses:
            assert first.weight.grad is not None
            logits = (given - given.mean(1, keepdim=True)).std().item()
            gradient = (first.weight.grad.norm() / first.weight.detach().norm()).item()
        optimiser.step()
        losses.append(loss.item())
    return Beginning(network, initial, logits, gradient, tuple(losses))


def to_markdown(beginnings: Iterable[Beginning]) -> str:
    """A line each: losses are means over the first and the last tenth of the steps."""
    rows = [["network", "beginning", "logits' deviation", "gradient of the first layer", "loss at first", "at last"]]
    for one in beginnings:
        some = max(1, len(one.losses) // 10)
        first, last = sum(one.losses[:some]) / some, sum(one.losses[-some:]) / some
        numbers = [f"{one.logits:.3g}", f"{one.gradient:.3g}", f"{first:.3f}", f"{last:.3f}"]
        rows.append([one.network, one.initial, *numbers])
    return markdown_table(rows)
