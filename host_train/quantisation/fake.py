"""Layers on the integers' grids but in floating point, through which gradients pass.

Their gradient is the straight-through estimator's: that of no rounding at all, and 0 where a value is clipped.
[Bengio et al. 2013, arXiv 1308.3432; Jacob et al. 2018, arXiv 1712.05877]
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

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


def first_gain(layer: nn.Conv2d | nn.Linear, std: tuple[float, ...]) -> torch.Tensor:
    """`1 / std` for each input [in] of a first layer, which sees channels, or pixels channel by channel.

    Examples
    --------
    >>> first_gain(nn.Conv2d(2, 1, 3), (0.5, 0.25)).tolist(), first_gain(nn.Linear(4, 1), (0.5, 0.25)).tolist()
    ([2.0, 4.0], [2.0, 2.0, 4.0, 4.0])
    """
    gain = 1 / torch.tensor(std, device=layer.weight.device)
    return gain if isinstance(layer, nn.Conv2d) else gain.repeat_interleave(layer.in_features // len(std))


class QuantisedReLU(nn.Module):
    """ReLU whose output is one of 256 multiples of `step`.

    Parameters
    ----------
    step : float
        Real value of one unit of the output byte.

    Examples
    --------
    >>> QuantisedReLU(0.5)(torch.tensor([-1.0, 0.6, 1000.0])).tolist()
    [0.0, 0.5, 127.5]
    """

    step: torch.Tensor

    def __init__(self, step: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("step", torch.tensor(float(step)))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return torch.fake_quantize_per_tensor_affine(values, self.step.item(), 0, 0, ACTIVATION_MAX)


class QuantisedAvgPool2d(nn.Module):
    """Average pooling whose output is one of 256 multiples of `step`; in a last layer averages stay as they are, and
    are not of this type.

    Parameters
    ----------
    pool : torch.nn.AvgPool2d or torch.nn.AdaptiveAvgPool2d
        What averages.
    step : float
        Real value of one unit of the output byte.

    Examples
    --------
    >>> QuantisedAvgPool2d(nn.AdaptiveAvgPool2d(1), 0.5)(torch.tensor([[[[1.0, 2.1]]]])).item()
    1.5
    """

    step: torch.Tensor

    def __init__(self, pool: nn.Module, step: float = 1.0) -> None:
        super().__init__()
        self.pool = pool
        self.register_buffer("step", torch.tensor(float(step)))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return torch.fake_quantize_per_tensor_affine(self.pool(values), self.step.item(), 0, 0, ACTIVATION_MAX)


class QuantisedConv2d(nn.Conv2d):
    """Conv2d whose weights are on an int8 grid: one step per output channel, or for the layer where `per_layer` is set.

    Weights that are equal stay so only on the grid of a layer.
    `gain` [1, in, 1, 1] is 1 but for a first layer: there 1/std of each channel is folded into the integer weights, so
    the grid is that of `weight / std`.
    """

    gain: torch.Tensor
    per_layer = False

    @classmethod
    def of(cls, layer: nn.Conv2d, gain: torch.Tensor, per_layer: bool = False) -> QuantisedConv2d:
        """With the weight and bias of `layer`."""
        made = cls(layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding)  # type: ignore[arg-type]
        made.load_state_dict(layer.state_dict())
        made.register_buffer("gain", gain.reshape(1, -1, 1, 1))
        made.per_layer = per_layer
        return made

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return F.conv2d(
            values, fake_quantise_weight(self.weight, self.gain, self.per_layer), self.bias, self.stride, self.padding
        )


class QuantisedLinear(nn.Linear):
    """Linear whose weights are on an int8 grid; `gain` [1, in] and `per_layer` as in `QuantisedConv2d`."""

    gain: torch.Tensor
    per_layer = False

    @classmethod
    def of(cls, layer: nn.Linear, gain: torch.Tensor, per_layer: bool = False) -> QuantisedLinear:
        """With the weight and bias of `layer`."""
        made = cls(layer.in_features, layer.out_features)
        made.load_state_dict(layer.state_dict())
        made.register_buffer("gain", gain.reshape(1, -1))
        made.per_layer = per_layer
        return made

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return F.linear(values, fake_quantise_weight(self.weight, self.gain, self.per_layer), self.bias)
