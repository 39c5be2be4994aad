"""Models of the user's own, and what the tests of converting them share."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pynq_cnn.backends.reference import ReferenceBackend
from pynq_cnn.model import Network

SIDE = 12
# Kernels here are often whole images; images are often noise, which untrained models take for one class.
IGNORED = (
    ".* does not fit the accelerator",
    "the calibration images look like noise",
    "there are only",
    "the model gives the same answer for all",
)
IGNORE_NOISE = [pytest.mark.filterwarnings(f"ignore:{message}") for message in IGNORED]


def warnings_are_errors() -> None:
    """But for those of noise."""
    warnings.simplefilter("error")
    for message in IGNORED[1:]:
        warnings.filterwarnings("ignore", message)


def images(count: int = 64, channels: int = 1, side: int = SIDE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), np.uint8)


def tensor(pictures: np.ndarray) -> torch.Tensor:
    """float32 [n, channels, height, width] in 0..1."""
    return torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy()).float() / 255


def logits(network: Network, pictures: np.ndarray) -> np.ndarray:
    return network.logits(ReferenceBackend(network).run(pictures))


def line_of(model: nn.Module, code: str) -> str:
    """`file:line` of the first line of the model's forward that holds `code`."""
    forward = type(model).forward
    lines, first = inspect.getsourcelines(forward)
    return f"{Path(inspect.getfile(forward)).name}:{first + next(i for i, line in enumerate(lines) if code in line)}"


class Digits(nn.Module):
    """As tutorials write it: everything in functions, modules used twice, an argument that nobody gives."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.drop, self.pool = nn.Dropout(), nn.MaxPool2d(2)
        self.fc1, self.fc2 = nn.Linear(36, 8), nn.Linear(8, 3)

    def forward(self, x, scale=None):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x))) if scale is None else scale * x
        x = x.view(-1, 36)
        x = F.relu(self.fc1(self.drop(x)))
        return F.softmax(self.fc2(x), dim=1)


def digits(seed: int = 0) -> Digits:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Digits()


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 1, 3, padding=1), nn.Linear(SIDE * SIDE, 2)
        self.auxiliary = nn.Linear(3, 3)

    def forward(self, x):
        return self.fc(self.conv(self.conv(x).relu()).relu().flatten(1))


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4 * SIDE * SIDE, 2)
        self.more, self.pool = nn.Conv2d(4, 4, 3, padding=1), nn.MaxPool2d(3, stride=1, padding=1)
        self.grouped, self.dilated = nn.Conv2d(4, 4, 3, padding=1, groups=2), nn.Conv2d(4, 4, 3, padding=2, dilation=2)
        self.norm, self.lrn = nn.BatchNorm2d(4), nn.LocalResponseNorm(2)
