"""Values of an image put elsewhere: channels taken, shuffled or split, pixels left out, zeros put around."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Select(nn.Module):
    """Every value of the output is one of the input's, or 0.

    Parameters
    ----------
    index : torch.Tensor
        int64 [channels, height, width]: of each value its place in the flattened image, -1 for a 0.
    shape : tuple of int
        (channels, height, width) of that image.

    Examples
    --------
    >>> Select(torch.tensor([[[1]], [[-1]]]), (1, 1, 2))(torch.tensor([[[[5.0, 6.0]]]])).flatten().tolist()
    [6.0, 0.0]
    """

    index: torch.Tensor

    def __init__(self, index: torch.Tensor, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("index", index)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return F.pad(values.flatten(1), (0, 1))[:, self.index]
