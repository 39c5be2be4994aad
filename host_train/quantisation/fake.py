"""Weights on the integers' grids but in floating point, through which gradients pass.

Their gradient is the straight-through estimator's: that of no rounding at all, and 0 where a value is clipped.
[Bengio et al. 2013, arXiv 1308.3432; Jacob et al. 2018, arXiv 1712.05877]
"""

from __future__ import annotations

import torch

WEIGHT_MAX, ACTIVATION_MAX = 127, 255
TINY = 2.0**-100  # a step for a channel of zeros: any will do, but not 0


def weight_steps(weight: torch.Tensor, per_layer: bool = False) -> torch.Tensor:
    """Step per output channel (float [out]) at which its largest weight, or that of the whole layer, is 127.

    Examples
    --------
    >>> weight_steps(torch.tensor([[254.0, -1.0], [0.0, -127.0]])).tolist()
    [2.0, 1.0]
    >>> weight_steps(torch.tensor([[254.0, -1.0], [0.0, -127.0]]), per_layer=True).tolist()
    [2.0, 2.0]
    """
    steps = (weight.detach().abs().flatten(1).amax(1) / WEIGHT_MAX).clamp_min(TINY)
    return steps.amax().repeat(len(steps)) if per_layer else steps


def fake_quantise_weight(weight: torch.Tensor, gain: torch.Tensor, per_layer: bool = False) -> torch.Tensor:
    """`weight` on its int8 grid; `gain` [in, ...] is what the grid's input channels have more than the weight's (see
    `QuantisedConv2d`).
    """
    scaled = weight * gain
    zero = torch.zeros(len(weight), dtype=torch.int32, device=weight.device)
    return (
        torch.fake_quantize_per_channel_affine(
            scaled, weight_steps(scaled, per_layer), zero, 0, -WEIGHT_MAX, WEIGHT_MAX
        )
        / gain
    )
