"""How good a network is on a labelled set."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from host_train.training.tensors import TensorData


def measure(model: nn.Module, data: TensorData) -> tuple[float, float]:
    """Mean cross-entropy and accuracy (0..1) of `model` over `data`."""
    model.eval()
    loss = right = 0.0
    with torch.no_grad():
        for images, labels in data.batches():
            logits = model(images)
            loss += F.cross_entropy(logits, labels, reduction="sum").item()
            right += (logits.argmax(1) == labels).sum().item()
    return loss / len(data), right / len(data)
