"""Layers of bits, and the functions of single channels between them."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from host_train.layers.binary import BinaryConv2d, BinaryLinear, Sign
from host_train.quantisation.layers.rules import add_to_blocks, last_block
from host_train.quantisation.layers.state import Block
from host_train.quantisation.sequential import pair
from pynq_cnn.errors import NetworkError
from pynq_cnn.model.tensor import Shape


@add_to_blocks.register
def _(layer: BinaryConv2d, name: str, found: list[Block]) -> None:
    if not found and layer.input_step is None:
        raise NetworkError(f"{name} is the first layer and needs an input_step: it sees bytes")
    if found and layer.input_step is not None:
        raise NetworkError(f"{name} has an input_step, but only the first layer sees bytes; remove it")
    if any(pad >= side for pad, side in zip(pair(layer.padding), layer.weight.shape[2:])):
        raise NetworkError(
            f"{name} has padding={layer.padding}, which must be smaller than its kernel {tuple(layer.weight.shape[2:])}"
        )
    found.append(Block(name, layer))


@add_to_blocks.register
def _(layer: BinaryLinear, name: str, found: list[Block]) -> None:
    if not found:
        raise NetworkError(
            f"{name} is a BinaryLinear over bytes, but only a BinaryConv2d can take those: use one whose kernel is the"
            " whole image, with an input_step, and Flatten behind it"
        )
    found.append(Block(name, layer))


@add_to_blocks.register
def _(layer: nn.Hardtanh, name: str, found: list[Block]) -> None:
    if not layer.min_val < 0 < layer.max_val:
        raise NetworkError(
            f"{name} is a Hardtanh from {layer.min_val:g} to {layer.max_val:g}, which hides the sign; use one around 0"
        )
    last_block(layer, name, found).add(layer)


@add_to_blocks.register
def _(layer: Sign, name: str, found: list[Block]) -> None:
    last_block(layer, name, found).add(layer)


def gives_logits(layer: BinaryConv2d | BinaryLinear) -> bool:
    """Whether a binary layer can be the last one."""
    return isinstance(layer, BinaryLinear)


def padding_of(layer: BinaryConv2d | BinaryLinear) -> tuple[int, int]:
    """(vertical, horizontal)."""
    return pair(layer.padding) if isinstance(layer, BinaryConv2d) else (0, 0)


def input_step_of(layer: BinaryConv2d | BinaryLinear) -> float:
    """The step of the bytes that a first layer sees."""
    assert isinstance(layer, BinaryConv2d) and layer.input_step is not None  # its rule has seen to it
    return layer.input_step


def signs_of(layer: BinaryConv2d | BinaryLinear, name: str, shape: Shape) -> np.ndarray:
    """Weights int8 [out, kernel_h, kernel_w, in] over an input of `shape`; a fully connected layer's kernel is all of
    it.
    """
    signs = np.where(layer.weight.detach().cpu().numpy() >= 0, 1, -1).astype(np.int8)
    if isinstance(layer, BinaryLinear):
        if signs[0].size != np.prod(shape):
            raise NetworkError(
                f"{name} takes {signs[0].size} inputs, but its input {shape} has {np.prod(shape)}; flatten it before"
            )
        signs = signs.reshape(-1, shape[2], *shape[:2])  # PyTorch flattens CHW
    return signs.transpose(0, 2, 3, 1)


def real_values(layer: BinaryConv2d | BinaryLinear, most: int) -> torch.Tensor:
    """Outputs of `layer` for the accumulators from `-most` to `most`, [2 * most + 1, out] of its own dtype."""
    values = torch.arange(-most, most + 1, dtype=layer.weight.dtype)[:, None]
    if isinstance(layer, BinaryLinear):
        return values * layer.scale + layer.bias.detach()
    return (values if layer.input_step is None else values * layer.input_step).expand(-1, len(layer.weight))
