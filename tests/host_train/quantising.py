"""Small networks to quantise, and images for them."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from pynq_cnn.model import Dense, InputSpec, MaxPool2d, Network

GREY = InputSpec(12, 12, 1, "L", (0.1307,), (0.3081,))
COLOUR = InputSpec(12, 10, 3, "RGB", (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616))


def normalised(images: np.ndarray, spec: InputSpec) -> torch.Tensor:
    return torch.from_numpy(((images / 255 - spec.mean) / spec.std).transpose(0, 3, 1, 2)).float()


def pictures(spec: InputSpec, count: int = 64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *spec.shape), np.uint8)


def small_net(spec: InputSpec, seed: int = 0) -> nn.Sequential:
    """All kinds of layers, odd strides and paddings; statistics of batch norm as if trained."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Sequential(
                nn.Conv2d(spec.channels, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2)
            ),
            nn.Conv2d(6, 9, (3, 2), stride=(1, 2), padding=(1, 0)),
            nn.MaxPool2d(2, stride=1),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Flatten(),
            nn.Linear(9 * (spec.height // 2 - 1) * (((spec.width // 2) - 2) // 2), 7),
            nn.BatchNorm1d(7),
            nn.ReLU(),
            nn.Linear(7, 4),
        )
        for layer in net.modules():
            if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
                layer.running_mean.normal_(0, 0.3)
                layer.running_var.uniform_(0.3, 2)
                nn.init.normal_(layer.weight)
                nn.init.normal_(layer.bias, 0.2)
    return net.eval()


def simulate(network: Network, images: np.ndarray) -> np.ndarray:
    """docs/contract/numerics.md in PyTorch's int64, independent of the reference backend: sums over shifted slices, no
    im2col, no floats.
    """
    values = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.int64))
    for layer in network.layers:
        if isinstance(layer, MaxPool2d):
            size, step = layer.size[0], layer.stride[0]
            values = values.unfold(2, size, step).unfold(3, size, step).amax((4, 5))
            continue
        weight = torch.from_numpy(layer.weight.astype(np.int64))
        if isinstance(layer, Dense):
            values = values.permute(0, 2, 3, 1).reshape(len(values), 1, -1)
            acc = (values * weight).sum(2)[:, :, None, None]
        else:
            (kh, kw), (sh, sw), (ph, pw) = weight.shape[1:3], layer.stride, layer.padding[:2]
            zero_points = network.input.zero_points if layer is network.layers[0] else (0,) * values.shape[1]
            pad = torch.tensor(zero_points)
            padded = pad[None, :, None, None].repeat(len(values), 1, values.shape[2] + 2 * ph, values.shape[3] + 2 * pw)
            padded[:, :, ph : ph + values.shape[2], pw : pw + values.shape[3]] = values
            oh, ow = (padded.shape[2] - kh) // sh + 1, (padded.shape[3] - kw) // sw + 1
            acc = torch.zeros(len(values), len(weight), oh, ow, dtype=torch.int64)
            for i in range(kh):
                for j in range(kw):
                    tap = padded[:, :, i : i + sh * (oh - 1) + 1 : sh, j : j + sw * (ow - 1) + 1 : sw]
                    acc += (tap[:, None] * weight[None, :, i, j, :, None, None]).sum(2)
        acc = acc + torch.from_numpy(layer.bias.astype(np.int64))[None, :, None, None]
        if layer.requantisation is None:
            return acc[:, :, 0, 0].numpy().astype(np.int32)
        m, s = (
            torch.from_numpy(array.astype(np.int64))[None, :, None, None]
            for array in (layer.requantisation.multiplier, layer.requantisation.shift)
        )
        values = ((acc * m + (torch.ones_like(s) << (s - 1))) >> s).clamp(0, 255)
    raise AssertionError("the last layer has no requantisation")
