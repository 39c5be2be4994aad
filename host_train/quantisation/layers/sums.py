"""Conv2d and Linear have this in common: sums of weighted bytes, whose ReLU makes bytes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from host_train.layers.scale import ChannelScale
from host_train.quantisation.fake import WEIGHT_MAX, skip_steps, weight_steps
from host_train.quantisation.layers.state import Grid, Values

Summing = nn.Conv2d | nn.Linear
BIAS_BITS = 30  # a bias below 2^30 leaves room in int32 for the sum over any fan-in up to 33,000


def with_bias(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    """`layer` itself, with a bias of 0 if it had none."""
    if layer.bias is None:
        layer.bias = nn.Parameter(torch.zeros(len(layer.weight)))
    return layer


def on_grid(made: Any, layer: nn.Conv2d | nn.Linear, gain: torch.Tensor, grid: Grid) -> Any:
    """`made`, a quantised layer, with the weights of `layer`, and what it has to know of its grid."""
    made.load_state_dict(layer.state_dict())
    made.register_buffer("gain", gain)
    made.per_layer = grid.per_layer
    keep_skip(made, grid.skip)
    return made


def keep_skip(layer: nn.Module, skip: float | None) -> None:
    """Set what a quantised layer has to know of what is added to its sums; it is stored with its weights."""
    layer.register_buffer("skip_step", None if skip is None else torch.tensor(float(skip)))


def input_gain(layer: nn.Conv2d | nn.Linear, std: tuple[float, ...] | None) -> torch.Tensor:
    """`1 / std` for each input [in] of a layer over an image, which sees channels, or pixels channel by channel; 1 for
    any other.

    Examples
    --------
    >>> input_gain(nn.Conv2d(2, 1, 3), (0.5, 0.25)).tolist(), input_gain(nn.Linear(4, 1), (0.5, 0.25)).tolist()
    ([2.0, 4.0], [2.0, 2.0, 4.0, 4.0])
    """
    if std is None:
        return torch.ones(1)
    gain = 1 / torch.tensor(std, device=layer.weight.device)
    return gain.repeat_interleave(layer.weight.shape[1] // len(std))


def weight_gain(layer: nn.Conv2d, std: tuple[float, ...] | None) -> torch.Tensor:
    """`input_gain` as what the weights [out, in / groups, height, width] of a convolution are multiplied with.

    Examples
    --------
    >>> weight_gain(nn.Conv2d(2, 4, 3, groups=2), (0.5, 0.25)).flatten().tolist()
    [2.0, 2.0, 4.0, 4.0]
    """
    if layer.groups == 1 or std is None:
        return input_gain(layer, std).reshape(1, -1, 1, 1)
    gain = 1 / torch.tensor(std, device=layer.weight.device)
    return _by_weight(gain, len(layer.weight), layer.groups)[:, :, None, None]


def _by_weight(values: Any, outputs: int, groups: int) -> Any:
    """Values of the input channels, one for each weight: [outputs, channels / groups]."""
    return values.reshape(groups, -1)[[o * groups // outputs for o in range(outputs)]]


def reach_of(largest: torch.Tensor) -> torch.Tensor:
    """Magnitudes of weights [out, channels], in units of the largest of their row.

    Examples
    --------
    >>> reach_of(torch.tensor([[4.0, 2.0], [0.0, 0.0]])).tolist()
    [[1.0, 0.5], [0.0, 0.0]]
    """
    return largest / largest.amax(1, keepdim=True).clamp_min(torch.finfo(largest.dtype).tiny)


def integer_weights(
    layer: Any, kernels: torch.Tensor, given: Values, groups: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights and bias of a quantised layer in integers.

    Parameters
    ----------
    layer : QuantisedConv2d or QuantisedLinear
        The layer.
    kernels : torch.Tensor
        Its weights [out, channels / groups, height, width].
    given : Values
        Its input.
    groups : int
        Of channels.

    Returns
    -------
    weight : numpy.ndarray
        int8 [out, height, width, channels / groups].
    bias : numpy.ndarray
        int32 [out].
    unit : numpy.ndarray
        float64 [1] or [out]: real value of one unit of the accumulator.
    """
    # The steps of the grid that the fake layer rounds to, in its own float32.
    steps = _array(skip_steps(weight_steps(layer.weight * layer.gain, layer.per_layer), layer.skip_step))
    return in_units(_array(kernels), _array(layer.bias), steps, given, groups, layer.per_layer)


def in_units(
    weight: np.ndarray, bias: np.ndarray, steps: np.ndarray, given: Values, groups: int = 1, per_layer: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights float64 [out, channels / groups, height, width] and bias in units of `steps` float64 [out], as
    `integer_weights` gives them.
    """
    if given.spec is not None:
        std, mean = (_by_weight(np.array(values), len(weight), groups) for values in (given.spec.std, given.spec.mean))
        weight = weight / std[:, :, None, None]
        bias = bias - (weight.sum((2, 3)) * mean).sum(1)
    # A channel of small weights and a large bias gets a coarser step, so that its bias fits.
    coarse = np.abs(bias) / (given.unit * 2.0**BIAS_BITS)
    steps = np.maximum(steps, coarse.max() if per_layer else coarse)
    rounded = np.clip(np.rint(weight / steps.reshape(-1, 1, 1, 1)), -WEIGHT_MAX, WEIGHT_MAX).astype(np.int8)
    unit = steps * given.unit
    whole = np.rint(bias / unit).astype(np.int64) - given.zero_point * rounded.sum((1, 2, 3), dtype=np.int64)
    return rounded.transpose(0, 2, 3, 1), whole.astype(np.int32), unit[:1] if per_layer else unit


def finish_channels(layer: nn.Conv2d | nn.Linear, scale: ChannelScale) -> bool:
    """Scale the outputs of a layer by its weights and bias, in float64."""
    assert layer.bias is not None  # `prepared` has seen to it
    factor, shift = scale.constants(len(layer.weight))
    if len(factor) != len(layer.weight):
        return False
    weight = layer.weight.detach().double() * factor.reshape(-1, *[1] * (layer.weight.ndim - 1))
    layer.weight = nn.Parameter(weight.float())
    layer.bias = nn.Parameter((shift + layer.bias.detach().double() * factor).float())
    return True


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()
