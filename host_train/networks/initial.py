"""How a network's weights begin, where not as PyTorch has it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from host_train.reason import reason_of
from pynq_cnn.errors import ArgumentError

# PyTorch's own is uniform with the standard deviation 1 / sqrt(3 * inputs) of a layer, a sixth of Kaiming's variance.
INITIAL: dict[str, Callable[[torch.Tensor], object]] = {
    "xavier": nn.init.xavier_uniform_,  # [Glorot and Bengio 2010]
    "kaiming": partial(nn.init.kaiming_normal_, nonlinearity="relu"),  # [He et al. 2015, arXiv 1502.01852]
    "normal": partial(nn.init.normal_, std=0.05),  # as Network in Network's own Caffe files
}


def build_with(build: Callable[[], nn.Module], initial: str) -> nn.Module:
    """The network that `build` makes, its convolutions and linear layers with other initial weights and biases of 0.

    Parameters
    ----------
    build : callable
        Makes the untrained network.
    initial : str
        One of `INITIAL`.
    """
    model = build()
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                INITIAL[initial](layer.weight)
                if layer.bias is not None:
                    layer.bias.zero_()
    return model


def check_size(name: str, build: Callable[[], nn.Module], shape: tuple[int, int, int]) -> None:
    """`ArgumentError` if a network does not take images of (channels, height, width); nothing is computed."""
    try:
        with torch.device("meta"), torch.no_grad():
            build().eval()(torch.zeros(1, *shape))
    except RuntimeError as error:
        raise ArgumentError(f"{name} does not take images of {shape[1]} x {shape[2]}: {reason_of(error)}") from error
