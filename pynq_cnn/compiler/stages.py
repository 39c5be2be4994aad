"""Lowering: the network's layers become stages, each a convolution with the pooling that follows it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pynq_cnn.errors import CompileError
from pynq_cnn.model import BIT, AvgPool2d, BinaryConv2d, Conv2d, Dense, MaxPool2d, Network, Requantisation
from pynq_cnn.model.layers import Shape


@dataclass(frozen=True)
class Stage:
    """One instruction's worth of work.

    Parameters
    ----------
    name : str
        The layers it comes from, joined by "+".
    conv : Conv2d
        The convolution; a dense layer is a 1 x 1 convolution over a 1 x 1 image.
    in_shape, out_shape : tuple of int
        (height, width, channels) before the convolution and after the pooling.
    pool : MaxPool2d, optional
        The pooling behind it.
    """

    name: str
    conv: Conv2d
    in_shape: Shape
    out_shape: Shape
    pool: MaxPool2d | None = None

    @property
    def int32(self) -> bool:
        """Whether it gives accumulators instead of bytes."""
        return self.conv.requantisation is None

    @property
    def pool_size(self) -> int:
        """Side of the pooling window, 1 for none."""
        return self.pool.size if self.pool else 1

    @property
    def pool_stride(self) -> int:
        """Step of the pooling window, 1 for none."""
        return self.pool.stride if self.pool else 1


# Inputs of an output: beyond, no engine has the weight tiles, and a square of them fills a computer's memory.
MAX_DIAGONAL = 1 << 14


def _check_diagonal(name: str, area: int, channels: int) -> None:
    if area * channels > MAX_DIAGONAL:
        raise CompileError(
            f"{name}: a pooling without a convolution before it is compiled to one of all its {channels} channels, "
            f"{area * channels} inputs an output; at most {MAX_DIAGONAL} are possible; use backend='reference'"
        )


def identity(name: str, channels: int) -> Conv2d:
    """A 1 x 1 convolution that changes nothing, for a pooling that follows no convolution: (a * 2 + 1) >> 1 = a."""
    _check_diagonal(name, 1, channels)
    ones = np.ones(channels)
    unchanged = Requantisation((2 * ones).astype(np.uint16), ones.astype(np.uint8))
    return Conv2d(name, np.eye(channels, dtype=np.int8)[:, None, None, :], np.zeros(channels, np.int32), requantisation=unchanged)


def window_sum(layer: AvgPool2d, channels: int) -> Conv2d:
    """The convolution that sums each channel over the window: ones on the diagonal."""
    _check_diagonal(layer.name, layer.size[0] * layer.size[1], channels)
    weight = np.broadcast_to(np.eye(channels, dtype=np.int8)[:, None, None, :], (channels, *layer.size, channels))
    return Conv2d(layer.name, weight, np.zeros(channels, np.int32), layer.stride, requantisation=layer.requantisation)


def lower(network: Network) -> list[Stage]:
    """The stages of a network, in order.

    Raises
    ------
    CompileError
        For layers of bits, which instruction set 1 does not have.
    """
    stages: list[Stage] = []
    shape = network.input_shape
    for layer, out_shape, kind in zip(network.layers, network.shapes(), network.types()):
        if kind is BIT or isinstance(layer, BinaryConv2d):
            raise CompileError(f"{layer.name}: the engine has no layers of bits yet; use backend='reference' for {network.name}")
        if isinstance(layer, Conv2d):
            stages.append(Stage(layer.name, layer, shape, out_shape))
        elif isinstance(layer, Dense):
            flat = (1, 1, layer.weight.shape[1])
            conv = Conv2d(layer.name, layer.weight[:, None, None, :], layer.bias, requantisation=layer.requantisation)
            stages.append(Stage(layer.name, conv, flat, out_shape))
        elif isinstance(layer, AvgPool2d):
            stages.append(Stage(layer.name, window_sum(layer, shape[2]), shape, out_shape))
        elif stages and stages[-1].pool is None:
            stages[-1] = replace(stages[-1], name=f"{stages[-1].name}+{layer.name}", out_shape=out_shape, pool=layer)
        else:
            stages.append(Stage(layer.name, identity(layer.name, shape[2]), shape, out_shape, layer))
        shape = out_shape
    return stages
