"""A network to export, and the contents of a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from host_train import from_torch
from pynq_cnn.model import Network


def convolutional(shared: bool = False) -> Network:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 5))
    with torch.no_grad():
        for layer in (model[0], model[4]):
            layer.weight[torch.rand(layer.weight.shape, generator=torch.Generator().manual_seed(0)) < 0.6] = 0
    return from_torch(
        model, np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8), name="small", shared=shared
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
