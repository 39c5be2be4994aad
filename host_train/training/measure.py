"""How good a network is on a labelled set."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from host_train.training.loader import Loader
from host_train.training.processes import ALONE, Processes
from host_train.training.tensors import TensorData
from pynq_cnn.errors import ArgumentError


def measure(model: nn.Module, data: TensorData | Loader, processes: Processes = ALONE) -> tuple[float, float]:
    """Mean cross-entropy and accuracy (0..1) of `model` over `data`; each of several processes sees some batches."""
    model.eval()
    loss = right = count = 0.0
    with torch.no_grad():
        for number, (images, labels) in enumerate(data.batches()):
            if number % processes.count != processes.rank:
                continue
            logits = model(images)
            check_logits(logits, labels)
            loss += F.cross_entropy(logits, labels, reduction="sum").item()
            right += (logits.argmax(1) == labels).sum().item()
            count += len(labels)
    if processes.count > 1:
        sums = (torch.tensor(one, device=data.device) for one in (loss, right, count))
        loss, right, count = processes.total(*sums)
    return loss / count, right / count


def check_logits(logits: torch.Tensor, labels: torch.Tensor) -> None:
    """`ArgumentError` unless a model gives logits float [n, classes], with a class for each of the labels."""
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or len(logits) != len(labels):
        given = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ArgumentError(f"the model must give logits [n, classes] for {len(labels)} inputs, not {given}")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= logits.shape[1]:
        raise ArgumentError(f"there are labels from {low} to {high}, and the model gives {logits.shape[1]} classes")
