"""Conv2d and Linear have this in common: sums of weighted bytes, whose ReLU makes bytes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from host_train.quantisation.fake import WEIGHT_MAX, weight_steps
from host_train.quantisation.layers.state import Place, Values
from pynq_cnn.errors import NetworkError

Summing = nn.Conv2d | nn.Linear
BIAS_BITS = 30  # a bias below 2^30 leaves room in int32 for the sum over any fan-in up to 33,000


def check_bytes(given: Place) -> None:
    """Refuse sums as an input: `NetworkError` names the layer that has no ReLU."""
    if given.sums_of:
        raise NetworkError(
            f"{given.sums_of} has no ReLU behind it; activations are bytes, so every layer but the last needs one",
            given.sums_of,
        )


def sums_behind(name: str, given: Place) -> Place:
    """The place behind the layer `name`, whose sums a ReLU must follow, or nothing."""
    check_bytes(given)
    return Place(last=name, sums_of=name, logits_of=name, image=False, foldable=True)


def with_bias(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    """`layer` itself, with a bias of 0 if it had none."""
    if layer.bias is None:
        layer.bias = nn.Parameter(torch.zeros(len(layer.weight)))
    return layer


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


def integer_weights(layer: Any, kernels: torch.Tensor, given: Values) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights and bias of a quantised layer in integers.

    Parameters
    ----------
    layer : QuantisedConv2d or QuantisedLinear
        The layer.
    kernels : torch.Tensor
        Its weights [out, channels, height, width].
    given : Values
        Its input.

    Returns
    -------
    weight : numpy.ndarray
        int8 [out, height, width, channels].
    bias : numpy.ndarray
        int32 [out].
    unit : numpy.ndarray
        float64 [1] or [out]: real value of one unit of the accumulator.
    """
    weight, bias = _array(kernels), _array(layer.bias)
    # The steps of the grid that the fake layer rounds to, in its own float32.
    steps = _array(weight_steps(layer.weight * layer.gain, layer.per_layer))
    if given.spec is not None:
        weight = weight / np.array(given.spec.std).reshape(1, -1, 1, 1)
        bias = bias - (weight.sum((2, 3)) * np.array(given.spec.mean)).sum(1)
    # A channel of small weights and a large bias gets a coarser step, so that its bias fits.
    coarse = np.abs(bias) / (given.unit * 2.0**BIAS_BITS)
    steps = np.maximum(steps, coarse.max() if layer.per_layer else coarse)
    rounded = np.clip(np.rint(weight / steps.reshape(-1, 1, 1, 1)), -WEIGHT_MAX, WEIGHT_MAX).astype(np.int8)
    unit = steps * given.unit
    return rounded.transpose(0, 2, 3, 1), np.rint(bias / unit).astype(np.int32), unit[:1] if layer.per_layer else unit


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()
