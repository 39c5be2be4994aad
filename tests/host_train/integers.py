"""Networks in integers, and what PyTorch's own layers give of them."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from host_train.quantisation.calibrate import calibrate
from host_train.quantisation.fold import fold
from host_train.quantisation.to_network import to_network
from pynq_cnn.model import AvgPool2d, Conv2d, Dense, InputSpec, MaxPool2d, Network


def pictures(spec: InputSpec, count: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (count - 2, *spec.shape), np.uint8)
    return np.concatenate([np.zeros((1, *spec.shape), np.uint8), np.full((1, *spec.shape), 255, np.uint8), noise])


def normalised(images: np.ndarray, spec: InputSpec) -> torch.Tensor:
    return torch.from_numpy(((images / 255 - spec.mean) / spec.std).transpose(0, 3, 1, 2)).float()


def lived_in(net: nn.Module, seed: int = 0) -> nn.Module:
    """With statistics of batch norm as if trained."""
    generator = torch.Generator().manual_seed(seed)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor, low, high in (
                (layer.running_mean, -0.3, 0.3),
                (layer.running_var, 0.3, 2),
                (layer.weight.data, 0.5, 1.5),
                (layer.bias.data, -0.2, 0.4),
            ):
                tensor.uniform_(low, high, generator=generator)
    return net.eval()


def network_of(net: nn.Module, spec: InputSpec, seed: int = 0) -> Network:
    made = calibrate(fold(net), [normalised(pictures(spec, 6, seed + 1), spec)], spec.std, "mse")
    with torch.no_grad():
        outputs = made(normalised(pictures(spec, 2), spec)).shape[1]
    return to_network(made, "test", spec, [str(i) for i in range(outputs)])


def simulate(network: Network, images: np.ndarray) -> np.ndarray:
    """docs/contract/numerics.md by PyTorch's own layers in float64, which is exact below 2^53; requantisation in
    int64.
    """
    values = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float64))
    for layer in network.layers:
        if isinstance(layer, MaxPool2d):
            values = F.max_pool2d(values, layer.size, layer.stride)
            continue
        if isinstance(layer, AvgPool2d):
            acc = F.avg_pool2d(values, layer.size, layer.stride, divisor_override=1)
        elif isinstance(layer, Dense):
            weight = torch.from_numpy(layer.weight.astype(np.float64))
            acc = F.linear(
                values.permute(0, 2, 3, 1).flatten(1), weight, torch.from_numpy(layer.bias.astype(np.float64))
            )[:, :, None, None]
        else:
            assert isinstance(layer, Conv2d)
            weight, bias = (
                torch.from_numpy(array.astype(np.float64)) for array in (layer.weight.transpose(0, 3, 1, 2), layer.bias)
            )
            down, right = layer.padding[:2]
            pad = network.input.zero_points if layer is network.layers[0] else (0,) * layer.weight.shape[3]
            padded = torch.stack(
                [F.pad(values[:, c], (right, right, down, down), value=float(pad[c])) for c in range(values.shape[1])],
                1,
            )
            acc = F.conv2d(padded, weight, bias, layer.stride)
        if layer.requantisation is None:
            return acc[:, :, 0, 0].numpy().astype(np.int32)
        constants = layer.requantisation.multiplier, layer.requantisation.shift
        multiplier, shift = (torch.from_numpy(array.astype(np.int64))[:, None, None] for array in constants)
        values = ((acc.long() * multiplier + (torch.ones_like(shift) << (shift - 1))) >> shift).clamp(0, 255).double()
    raise AssertionError("the last layer is requantised")
