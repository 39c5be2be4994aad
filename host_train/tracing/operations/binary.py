"""Layers of bits, and the signs between them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from host_train.layers.binary import BinaryConv2d, BinaryLinear, Sign, binarise
from host_train.tracing.operations.advice import advice
from host_train.tracing.operations.kind import Handler, Kind, Shape, with_weights
from host_train.tracing.operations.linear import check_features
from pynq_cnn.errors import NetworkError


def _conv2d(layer: BinaryConv2d, before: Shape, after: Shape) -> list[nn.Module]:
    outputs, inputs, side = layer.weight.shape[:3]
    return with_weights(BinaryConv2d(inputs, outputs, side, layer.padding, input_step=layer.input_step), layer)


def _linear(layer: BinaryLinear, before: Shape, after: Shape) -> list[nn.Module]:
    check_features(before)
    made = BinaryLinear(layer.weight.shape[1], layer.weight.shape[0])
    made.scale = layer.scale
    return with_weights(made, layer)


def _sign(function: Callable[[torch.Tensor], torch.Tensor]) -> Handler:
    def handler(before: Shape, after: Shape) -> list[nn.Module]:
        return [Sign(function)]

    return handler


def _sign_module(layer: Sign, before: Shape, after: Shape) -> list[nn.Module]:
    if layer.function not in (binarise, torch.sign):
        raise NetworkError(f"a {type(layer).__name__} cannot be mapped; {advice(type(layer).__name__)}")
    return [Sign(layer.function)]


BINARY = Kind({BinaryConv2d: _conv2d, BinaryLinear: _linear}, learned=True)
SIGN = Kind(
    {Sign: _sign_module},
    {torch.sign: _sign(torch.sign), binarise: _sign(binarise)},
    dict.fromkeys(("sign", "sign_"), _sign(torch.sign)),
)
