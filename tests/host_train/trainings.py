"""Small networks and schedules to train, and what the tests of trainings ask of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from host_train.training.schedule import Schedule

QUICK = Schedule(epochs=2, batch=32, learning_rate=1e-2)


def small() -> nn.Sequential:
    return nn.Sequential(
        nn.MaxPool2d(4), nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(100, 10)
    )


def seeded(build: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


def same(a: nn.Module, b: nn.Module) -> bool:
    """Whether two models have the same parameters and buffers to the last bit."""
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))
