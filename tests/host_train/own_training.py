"""A network of one's own, to be trained and compressed."""

from __future__ import annotations

import torch
from torch import nn


class Mine(nn.Module):
    """Layers in modules, functions between them."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 8, 5, 3), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Linear(512, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.flatten(self.features(x), 1))
