"""A small network, pruned, and digits to train it on."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from host_train.compression.prune import plain, prune_to
from host_train.data import Split
from host_train.quantisation.fold import fold
from host_train.training.tensors import TensorData
from pynq_cnn.model import (
    InputSpec,
)

COLOUR = InputSpec(9, 8, 3, "RGB", (0.5, 0.45, 0.4), (0.25, 0.2, 0.5))


def net(spec: InputSpec = COLOUR, seed: int = 0) -> nn.Sequential:
    """Two convolutions, pooling, two fully connected layers."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return fold(
            nn.Sequential(
                nn.Conv2d(spec.channels, 6, 3, padding=1),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.Conv2d(6, 8, (2, 3), stride=(1, 2), padding=(0, 1)),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(8 * (spec.height // 2 - 1) * ((spec.width // 2 - 1) // 2 + 1), 20),
                nn.ReLU(),
                nn.Linear(20, 10),
            )
        )


KEEP = {"0": 0.7, "3": 0.4, "6": 0.1, "8": 0.5}
BITS = {"0": 4, "3": 3, "6": 2, "8": 3}


def sparse(spec: InputSpec = COLOUR, seed: int = 0) -> nn.Sequential:
    model = net(spec, seed)
    prune_to(model, KEEP)
    return plain(model)


def digits_data(digits: dict[str, np.ndarray], count: int = 300) -> TensorData:
    split = Split(digits["train_images"][:count, ..., None], digits["train_labels"][:count].astype(np.int64))
    return TensorData.of(split, (0.3,), (0.4,))
