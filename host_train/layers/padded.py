"""Convolution with a padding of its own on each side."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

Sides = tuple[int, int, int, int]  # top, left, bottom, right


class PaddedConv2d(nn.Conv2d):
    """Convolution padded with zeros by different numbers on its four sides.

    Parameters
    ----------
    *args, **options
        As of `torch.nn.Conv2d`, without padding.
    sides : tuple of int
        (top, left, bottom, right).

    Examples
    --------
    >>> PaddedConv2d(1, 1, 3, sides=(0, 0, 1, 1))(torch.zeros(1, 1, 4, 4)).shape
    torch.Size([1, 1, 3, 3])
    """

    def __init__(self, *args: Any, sides: Sides, **options: Any) -> None:
        super().__init__(*args, **options)
        self.sides = sides

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return super().forward(padded(values, self.sides))


def padded(values: torch.Tensor, sides: Sides) -> torch.Tensor:
    """Images with zeros around them."""
    top, left, bottom, right = sides
    return F.pad(values, (left, right, top, bottom)) if any(sides) else values


def sides_of(layer: nn.Conv2d) -> Sides:
    """Padding of any convolution, however it is given.

    Examples
    --------
    >>> sides_of(nn.Conv2d(1, 1, 4, padding="same")), sides_of(nn.Conv2d(1, 1, 3, padding=(1, 0)))
    ((1, 1, 2, 2), (1, 0, 1, 0))
    """
    if isinstance(layer, PaddedConv2d):
        return layer.sides
    if layer.padding == "valid":
        return 0, 0, 0, 0
    if layer.padding == "same":
        tall, wide = (step * (side - 1) for step, side in zip(layer.dilation, layer.kernel_size))
        return tall // 2, wide // 2, tall - tall // 2, wide - wide // 2
    height, width = (int(pad) for pad in layer.padding)
    return height, width, height, width
