"""Two tensors or more become one."""

from __future__ import annotations

import torch
from torch import nn


class Add(nn.Module):
    """The sum of two tensors of one shape.

    Examples
    --------
    >>> Add()(torch.ones(1, 2), torch.ones(1, 2)).tolist()
    [[2.0, 2.0]]
    """

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return left + right


class Concat(nn.Module):
    """The channels of several tensors side by side.

    Examples
    --------
    >>> Concat()(torch.ones(1, 2), torch.zeros(1, 1)).tolist()
    [[1.0, 1.0, 0.0]]
    """

    def forward(self, *parts: torch.Tensor) -> torch.Tensor:
        return torch.cat(parts, 1)
