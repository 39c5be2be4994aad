"""How good a network is on a labelled set."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from host_train.training.processes import ALONE, Processes
from host_train.training.tensors import TensorData


def measure(model: nn.Module, data: TensorData, processes: Processes = ALONE) -> tuple[float, float]:
    """Mean cross-entropy and accuracy (0..1) of `model` over `data`; each of several processes sees some batches."""
    model.eval()
    loss = right = 0.0
    with torch.no_grad():
        for number, (images, labels) in enumerate(data.batches()):
            if number % processes.count != processes.rank:
                continue
            logits = model(images)
            loss += F.cross_entropy(logits, labels, reduction="sum").item()
            right += (logits.argmax(1) == labels).sum().item()
    if processes.count > 1:
        loss, right = processes.total(*(torch.tensor(one, device=data.labels.device) for one in (loss, right)))
    return loss / len(data), right / len(data)
