"""The network in integers (docs/contract/numerics.md, section 9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from host_train.layers.about import about
from host_train.quantisation.fake import (
    WEIGHT_MAX,
    QuantisedAvgPool2d,
    QuantisedConv2d,
    QuantisedLinear,
    QuantisedReLU,
    weight_steps,
)
from host_train.quantisation.fixed_point import fixed_point
from host_train.quantisation.fold import AVERAGING, pair
from host_train.reason import reason_of
from pynq_cnn.errors import NetworkError
from pynq_cnn.model import AvgPool2d, Conv2d, Dense, InputSpec, Layer, MaxPool2d, Network, OutputSpec, Requantisation

BIAS_BITS = 30  # a bias below 2^30 leaves room in int32 for the sum over any fan-in up to 33,000


def _array(tensor: torch.Tensor | None) -> np.ndarray:
    assert tensor is not None  # `fold` has given every layer a bias
    return tensor.detach().cpu().double().numpy()


def _integers(
    weight: np.ndarray, bias: np.ndarray, steps: np.ndarray, in_step: float, per_layer: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """int8 weight [out, ...], int32 bias [out] and the real value [out] of one unit of the accumulator."""
    # A channel of small weights and a large bias gets a coarser step, so that its bias fits.
    coarse = np.abs(bias) / (in_step * 2.0**BIAS_BITS)
    steps = np.maximum(steps, coarse.max() if per_layer else coarse)
    shaped = steps.reshape(-1, *[1] * (weight.ndim - 1))
    weight_q = np.clip(np.rint(weight / shaped), -WEIGHT_MAX, WEIGHT_MAX).astype(np.int8)
    return weight_q, np.rint(bias / (steps * in_step)).astype(np.int32), steps * in_step


def _window(pool: nn.Module, image: Sequence[int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Size and stride (vertical, horizontal) of an average pooling over an image [..., height, width]."""
    if isinstance(pool, nn.AvgPool2d):
        size, stride = (v if isinstance(v, tuple) else (v, v) for v in (pool.kernel_size, pool.stride))
        return (int(size[0]), int(size[1])), (int(stride[0]), int(stride[1]))
    return (int(image[-2]), int(image[-1])), (1, 1)


def to_network(
    quantised: nn.Module,
    name: str,
    spec: InputSpec,
    classes: Sequence[str],
    metadata: dict[str, Any] | None = None,
    kind: str = "softmax",
) -> Network:
    """Integers of a calibrated network.

    The input's normalisation `(byte/255 - mean) / std` goes into the first layer: its weights are divided by `255 *
    std`, and what `mean` contributes is taken from its bias; where that layer pads, the byte nearest to `255 * mean` is
    what padded pixels have.

    Parameters
    ----------
    quantised : torch.nn.Sequential
        From `calibrate`, trained further or not.
    name : str
        The network's.
    spec : InputSpec
        Its input, with the mean and std it was trained with.
    classes : sequence of str
        Names of its outputs.
    metadata : dict, optional
        For the package.
    kind : str
        What the output says, as of `OutputSpec`.

    Returns
    -------
    Network
        For any backend.

    Raises
    ------
    NetworkError
        If a layer has no integer counterpart, or the result breaks the arithmetic contract.
    """
    layers: list[Layer] = []
    mean, std = np.array(spec.mean), np.array(spec.std)
    values = torch.zeros(1, spec.channels, spec.height, spec.width)  # carried along for its shape
    in_step, spatial = 1.0, (spec.channels, spec.height, spec.width)
    first = True
    last, out_scale = "", np.ones(0)  # the layer whose sums are the output, and the real values of their units
    modules = list(quantised.named_children())
    for i, (layer_name, module) in enumerate(modules):
        with about(layer_name):
            before = tuple(values.shape[1:])
            with torch.no_grad():
                try:
                    values = module(values)
                except RuntimeError as error:
                    raise NetworkError(
                        f"{layer_name} does not take an input of shape {before}: {reason_of(error)}"
                    ) from error
            if isinstance(module, (QuantisedConv2d, QuantisedLinear)):
                if isinstance(module, QuantisedLinear) and len(before) != 1:
                    raise NetworkError(
                        f"{layer_name} is a Linear over an input of shape {before}; put a Flatten before it"
                    )
                weight, bias = _array(module.weight), _array(module.bias)
                # The steps of the grid that the fake layer rounds to, in its own float32.
                steps = _array(weight_steps(module.weight * module.gain, module.per_layer))
                if first:
                    # [out, in, h, w] whichever the layer: a Linear here sees the flattened image.
                    as_image = weight.reshape(len(weight), *spatial) if isinstance(module, QuantisedLinear) else weight
                    as_image = as_image / std.reshape(1, -1, 1, 1)
                    bias = bias - (as_image.sum((2, 3)) * mean).sum(1)
                    weight, in_step = as_image.reshape(weight.shape), 1 / 255
                weight_q, bias_q, unit = _integers(weight, bias, steps, in_step, module.per_layer)
                activation = modules[i + 1][1] if i + 1 < len(modules) else None
                requantisation = None
                if isinstance(activation, QuantisedReLU):
                    out_step = float(activation.step)
                    requantisation = Requantisation(*fixed_point((unit[:1] if module.per_layer else unit) / out_step))
                    in_step = out_step
                else:
                    last, out_scale = layer_name, unit
                if isinstance(module, QuantisedConv2d):
                    padding = tuple(int(p) for p in module.padding)
                    stride = tuple(int(s) for s in module.stride)
                    kernels = weight_q.transpose(0, 2, 3, 1)
                    layers.append(Conv2d(layer_name, kernels, bias_q, stride, padding, requantisation))  # type: ignore[arg-type]
                else:
                    # PyTorch flattens CHW, the engine HWC.
                    weight_q = weight_q.reshape(-1, *spatial).transpose(0, 2, 3, 1).reshape(len(weight_q), -1)
                    layers.append(Dense(layer_name, weight_q, bias_q, requantisation))
                first = False
            elif isinstance(module, nn.MaxPool2d):
                layers.append(MaxPool2d(layer_name, pair(module.kernel_size), pair(module.stride)))
            elif isinstance(module, (QuantisedAvgPool2d, *AVERAGING)):
                # The layer is the sum over the window; the division is in what follows the sum.
                window, stride = _window(module.pool if isinstance(module, QuantisedAvgPool2d) else module, before)
                unit = np.full(before[0], in_step / (window[0] * window[1]))
                requantisation = None
                if isinstance(module, QuantisedAvgPool2d):
                    in_step = float(module.step)
                    requantisation = Requantisation(*fixed_point(unit[:1] / in_step))  # one pair for all channels
                else:
                    last, out_scale = layer_name, unit
                layers.append(AvgPool2d(layer_name, window, stride, requantisation))
            elif not isinstance(module, (QuantisedReLU, nn.Flatten)):
                raise NetworkError(
                    f"{layer_name} is a {type(module).__name__}, which has no integer counterpart; fold and calibrate"
                    " first"
                )
            if values.ndim == 4:
                spatial = (int(values.shape[1]), int(values.shape[2]), int(values.shape[3]))
            elif not isinstance(module, nn.Flatten):
                spatial = (int(values.shape[1]), 1, 1)
    with about(last):
        output = OutputSpec(out_scale.astype(np.float32), np.zeros(len(out_scale), np.float32), kind)
    return Network(name, spec, tuple(layers), output, tuple(classes), metadata=metadata or {})
