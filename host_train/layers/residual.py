"""Blocks of residual networks."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn


class Residual(nn.Module):
    """ReLU of the sum of two paths. [He et al. 2016, "Deep Residual Learning", arXiv 1512.03385]

    Parameters
    ----------
    body : torch.nn.Module
        Convolutions, the last without an activation.
    shortcut : torch.nn.Module, optional
        What takes the input past them, to the shape that they give; the input itself if not given.

    Examples
    --------
    >>> Residual(nn.Conv2d(4, 4, 3, padding=1))(torch.rand(2, 4, 8, 8)).shape
    torch.Size([2, 4, 8, 8])
    """

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.body = body
        self.shortcut = nn.Identity() if shortcut is None else shortcut
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.body(x) + self.shortcut(x))


def basic_body(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """The long path of a basic block: two convolutions 3x3 with batch norm, the first with ReLU and `stride`.

    Examples
    --------
    >>> basic_body(4, 8, 2)(torch.rand(2, 4, 8, 8)).shape
    torch.Size([2, 8, 4, 4])
    """
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            norm1=nn.BatchNorm2d(outputs),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            norm2=nn.BatchNorm2d(outputs),
        )
    )
