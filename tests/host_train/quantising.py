"""Small networks to quantise, and images for them."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from pynq_cnn.model import InputSpec

GREY = InputSpec(12, 12, 1, "L", (0.1307,), (0.3081,))
COLOUR = InputSpec(12, 10, 3, "RGB", (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616))


def normalised(images: np.ndarray, spec: InputSpec) -> torch.Tensor:
    return torch.from_numpy(((images / 255 - spec.mean) / spec.std).transpose(0, 3, 1, 2)).float()


def pictures(spec: InputSpec, count: int = 64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *spec.shape), np.uint8)


def small_net(spec: InputSpec, seed: int = 0) -> nn.Sequential:
    """All kinds of layers, odd strides and paddings; statistics of batch norm as if trained."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Sequential(
                nn.Conv2d(spec.channels, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2)
            ),
            nn.Conv2d(6, 9, (3, 2), stride=(1, 2), padding=(1, 0)),
            nn.MaxPool2d(2, stride=1),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Flatten(),
            nn.Linear(9 * (spec.height // 2 - 1) * (((spec.width // 2) - 2) // 2), 7),
            nn.BatchNorm1d(7),
            nn.ReLU(),
            nn.Linear(7, 4),
        )
        for layer in net.modules():
            if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
                layer.running_mean.normal_(0, 0.3)
                layer.running_var.uniform_(0.3, 2)
                nn.init.normal_(layer.weight)
                nn.init.normal_(layer.bias, 0.2)
    return net.eval()
