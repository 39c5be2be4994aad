"""A factor and a shift for each channel."""

from __future__ import annotations

import torch
from torch import nn


class ChannelScale(nn.Module):
    """Every channel times a factor of its own, plus a shift of its own: batch norm in evaluation mode is that.

    Parameters
    ----------
    factor, shift : torch.Tensor, optional
        float32 [channels]; 1 and 0, for any number of channels, if not given.

    Examples
    --------
    >>> ChannelScale(torch.tensor([2.0, 1.0]), torch.tensor([0.0, -1.0]))(torch.ones(1, 2)).tolist()
    [[2.0, 0.0]]
    """

    def __init__(self, factor: torch.Tensor | None = None, shift: torch.Tensor | None = None) -> None:
        super().__init__()
        self.weight = None if factor is None else nn.Parameter(factor.detach().clone())
        self.bias = None if shift is None else nn.Parameter(shift.detach().clone())

    @property
    def channels(self) -> int | None:
        """How many channels it is for; None for any number."""
        given = self.bias if self.weight is None else self.weight
        return None if given is None else len(given)

    def constants(self, channels: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Factor and shift, float64, of that many channels where it is for any number.

        Examples
        --------
        >>> [one.tolist() for one in ChannelScale(torch.tensor([2.0, 3.0])).constants(2)]
        [[2.0, 3.0], [0.0, 0.0]]
        """
        one = torch.ones(channels if self.channels is None else self.channels, dtype=torch.float64)
        factor, shift = (None if given is None else given.detach().double() for given in (self.weight, self.bias))
        return one if factor is None else factor, 0 * one if shift is None else shift

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        sides = [1] * (values.ndim - 2)
        values = values if self.weight is None else values * self.weight.reshape(-1, *sides)
        return values if self.bias is None else values + self.bias.reshape(-1, *sides)
