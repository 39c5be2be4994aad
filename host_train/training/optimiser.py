"""The optimiser and its learning rate: how a step of training changes the weights."""

from __future__ import annotations

import torch
from torch import nn

from host_train.training.schedule import Schedule


def make_optimiser(model: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    """The schedule's, with weight decay on weights only: vectors are biases and batch norm."""
    weights = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    vectors = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": schedule.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    # One launch for all parameters on a GPU; elsewhere torch's own choice.
    fused = True if weights and all(p.is_cuda for p in weights) else None
    if schedule.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=schedule.learning_rate, momentum=0.9, nesterov=True, fused=fused)
    return torch.optim.AdamW(groups, lr=schedule.learning_rate, fused=fused)


def one_cycle(
    optimiser: torch.optim.Optimizer, learning_rate: float, steps: int
) -> torch.optim.lr_scheduler.OneCycleLR:
    """The one-cycle policy: up in the first 10 % of the steps, down to nothing in the others."""
    # Of ten steps that tenth would be of no length, by which PyTorch divides; of a little less, the first step has the
    # highest rate too.
    rise = 0.1 if steps != 10 else 0.0999
    return torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=steps, pct_start=rise)
