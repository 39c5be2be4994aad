"""Statistics of batch norms, estimated again."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from host_train.training.tensors import TensorData

BATCH = 250  # as large as an accelerator likes, and small enough for a CPU's memory


def estimate_norms(model: nn.Module, data: TensorData, images: int) -> None:
    """Set the running statistics of every batch norm of `model` to those of the first `images` of `data`, as they are.

    While training they follow distorted images and weights that still move, and the last batches count most: of a
    binary network, whose signs change at once, accuracy jumps by that from epoch to epoch. The rest of the model, such
    as dropout or weights drawn at random, behaves as in evaluation. The model is left in evaluation mode.

    Examples
    --------
    >>> images = torch.arange(8, dtype=torch.uint8).reshape(8, 1, 1, 1)
    >>> data = TensorData(images, torch.zeros(8, dtype=torch.int64), torch.zeros(1), torch.full((1,), 1 / 255))
    >>> norm = nn.BatchNorm2d(1)
    >>> estimate_norms(norm, data, 5)
    >>> norm.running_mean.item(), norm.running_var.item(), norm.momentum
    (2.0, 2.5, 0.1)
    """
    model.eval()
    norms = [one for one in model.modules() if isinstance(one, _BatchNorm) and one.track_running_stats]
    if not norms:
        return
    momenta = [one.momentum for one in norms]
    try:
        for one in norms:
            one.reset_running_stats()
            one.momentum = None  # the mean over all batches
            one.train()
        with torch.no_grad():
            for start in range(0, min(images, len(data)), BATCH):
                part = data.images[start : min(start + BATCH, images)]
                model(data.normalise(part.float() / 255))
    finally:
        for one, momentum in zip(norms, momenta):
            one.momentum = momentum
        model.eval()
