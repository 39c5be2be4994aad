"""Weights on the integers' grids but in floating point, through which gradients pass.

Their gradient is the straight-through estimator's: that of no rounding at all, and 0 where a value is clipped.
[Bengio et al. 2013, arXiv 1308.3432; Jacob et al. 2018, arXiv 1712.05877]
"""

from __future__ import annotations

from typing import Any

import torch

WEIGHT_MAX, ACTIVATION_MAX = 127, 255
TINY = 2.0**-100  # a step for a channel of zeros: any will do, but not 0
SKIP_MAX, EXACT_FROM = 65535, 8  # of the multiplier of what is added to sums


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


def skip_steps(steps: torch.Tensor, skip: torch.Tensor | float | None) -> torch.Tensor:
    """Steps of weights, float [out], to whose sums another tensor is added.

    They are made a little coarser, so that the step of what is added is a whole number of times that of the sums. Where
    that is less than eight times it may as well be rounded: what is added is then small beside the sums.

    Parameters
    ----------
    steps : torch.Tensor
        The least that will do.
    skip : torch.Tensor or float, optional
        The step of what is added, in units of the step of the layer's input; None where nothing is.

    Examples
    --------
    >>> skip_steps(torch.tensor([0.3, 0.6]), 4.0).tolist()
    [0.3076923191547394, 0.6000000238418579]
    """
    if skip is None:
        return steps
    times = torch.floor(skip / steps).clamp_max(SKIP_MAX)
    return torch.where(times < EXACT_FROM, steps, skip / times)


class _Rounded(torch.autograd.Function):
    """Whole numbers of steps, from `low` to `high`: what `torch.fake_quantize_per_tensor_affine` gives, and its
    gradient, to the last bit, in a tenth of its time on a CPU.
    """

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, steps: torch.Tensor, low: int, high: int) -> torch.Tensor:
        inverse = (1 / steps).clamp_max(torch.finfo(values.dtype).max)  # finite for the smallest steps too
        whole = (values * inverse).round_()
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward((whole >= low) & (whole <= high))
        return whole.clamp_(low, high).mul_(steps)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (within,) = ctx.saved_tensors
        return gradients[0] * within, None, None, None


def fake_quantise_weight(
    weight: torch.Tensor, gain: torch.Tensor, per_layer: bool = False, skip: torch.Tensor | None = None
) -> torch.Tensor:
    """`weight` on its int8 grid; `gain` [in, ...] is what the grid's input channels have more than the weight's (see
    `QuantisedConv2d`), `skip` as in `skip_steps`.
    """
    scaled = weight * gain
    steps = skip_steps(weight_steps(scaled, per_layer), skip).reshape(-1, *[1] * (weight.ndim - 1))
    return _Rounded.apply(scaled, steps, -WEIGHT_MAX, WEIGHT_MAX) / gain


def fake_quantise_bytes(values: torch.Tensor, step: torch.Tensor, zero_point: int = 0, low: int = 0) -> torch.Tensor:
    """`values` as the nearest of the 256 that bytes of a step, float [], and zero point have, not below the byte
    `low`.

    Examples
    --------
    >>> fake_quantise_bytes(torch.tensor([-9.0, 0.3, 0.9, 999.0]), torch.tensor(0.5), zero_point=10).tolist()
    [-5.0, 0.5, 1.0, 122.5]
    """
    within = _Rounded.apply(values, step, min(low, zero_point) - zero_point, ACTIVATION_MAX - zero_point)
    return within.clamp_min((low - zero_point) * step.item()) if low > zero_point else within
