"""From what follows a binary layer to thresholds of its accumulators (docs/contract/numerics.md, section 6)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import nn

from host_train.quantisation.layers.rules import by_channel
from pynq_cnn.errors import NetworkError


def apply_by_channel(modules: Iterable[nn.Module], values: torch.Tensor) -> torch.Tensor:
    """Values [n, channels] after functions of single channels."""
    with torch.no_grad():
        for module in modules:
            values = by_channel(module, values)
    return values


def thresholds(
    real: torch.Tensor, before: Iterable[nn.Module], after: Iterable[nn.Module] = ()
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """From batch norm, activation and sign to thresholds, exactly as PyTorch computes them.

    The folded formula `mean - shift * sqrt(var + eps) / scale` would round differently from the float32 batch norm, and
    an accumulator that falls between the two would get another bit. So the modules themselves are asked, for every
    value that the accumulator can have.

    Parameters
    ----------
    real : torch.Tensor
        float32 [2 * most + 1, n]: what the layer gives for the accumulators from `-most` to `most`, in each of n
        channels.
    before, after : iterable of torch.nn.Module
        Functions of single channels in evaluation mode, before and behind the pooling, each rising or falling.

    Returns
    -------
    value : numpy.ndarray
        int32 [n]: the kept bit is 1 if the maximum of the accumulators is at least this.
    flip : numpy.ndarray
        bool [n]: channels whose weights, and with them accumulators, are to be negated.
    opposite : numpy.ndarray
        bool [n]: channels whose kept bit is the opposite of the sign.

    Raises
    ------
    NetworkError
        If a sign neither rises nor falls with the accumulator.

    Examples
    --------
    >>> norm = nn.BatchNorm2d(3).eval()
    >>> norm.weight.data = torch.tensor([1.0, -1.0, 0.0])
    >>> norm.running_mean[:] = 2.5
    >>> real = torch.arange(-10.0, 11)[:, None].repeat(1, 3)
    >>> thresholds(real, [norm])
    (array([  3,  -2, -10], dtype=int32), array([False,  True, False]), array([False, False, False]))
    >>> thresholds(real, [], [norm])
    (array([  3,   3, -10], dtype=int32), array([False, False, False]), array([False,  True, False]))
    """
    pooled = apply_by_channel(before, real)
    flip = (pooled[-1] < pooled[0]).numpy()
    bits = (apply_by_channel(after, pooled) >= 0).numpy()
    bits = np.where(flip, bits[::-1], bits)
    opposite = bits[0] & ~bits[-1]
    bits = bits ^ opposite
    if (np.diff(bits.astype(np.int8), axis=0) < 0).any():
        raise NetworkError(
            "a batch norm is not monotonous in float32; its scale or variance is not finite or far too large"
        )
    # The first value whose bit is 1; one past the largest where there is none.
    value = np.where(bits.any(0), bits.argmax(0), len(bits)) - len(real) // 2
    return value.astype(np.int32), flip, opposite
