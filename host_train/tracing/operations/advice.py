"""Advice: the layers to use in the place of operations that cannot be mapped."""

from __future__ import annotations

import re

from host_train.quantisation.layers.rules import mapped

_GATE = (
    "a product of two tensors, such as a gate, is beyond bytes times weights: remove the gate (squeeze-and-excitation,"
    " attention), and train it again without"
)
_SCALE = "use a plain number, or one for each channel"
_PRODUCTS = ("matmul", "mm", "bmm", "einsum", "scaled_dot_product_attention")
# Methods in place and the operators of Python too.
_ARITHMETIC = re.compile(r"[ir]?(add|sub|mul|div|truediv|neg)_?")
ACTIVATION = "use ReLU and train it again"
_AT_THE_END = "remove it, say output 'values', and apply it to what Classifier.predict gives"
_NORM = "use BatchNorm2d, which folds into the layer before it"

ADVICE = {
    **dict.fromkeys(("stack", "hstack", "vstack"), "use torch.cat(tensors, 1), which puts channels side by side"),
    **dict.fromkeys(
        ("interpolate", "Upsample", "UpsamplingNearest2d", "upsample_nearest2d", "ConvTranspose2d", "conv_transpose2d"),
        "nothing here makes an image larger: leave it out, or do it to the picture before the network",
    ),
    **dict.fromkeys(
        ("LSTM", "GRU", "RNN", "MultiheadAttention", "TransformerEncoderLayer", "Embedding"),
        "the accelerator has no such layer; use a network of convolutions",
    ),
    **dict.fromkeys(
        ("tanh", "gelu", "silu", "leaky_relu", "elu", "hardswish", "hardsigmoid", "prelu", "selu", "mish"), ACTIVATION
    ),
    **dict.fromkeys(
        ("Tanh", "GELU", "SiLU", "LeakyReLU", "ELU", "Hardswish", "Hardsigmoid", "PReLU", "SELU", "Mish"), ACTIVATION
    ),
    **dict.fromkeys(
        ("LayerNorm", "GroupNorm", "InstanceNorm2d", "LocalResponseNorm", "layer_norm", "group_norm"), _NORM
    ),
    **dict.fromkeys(("DataParallel", "DistributedDataParallel"), "give from_torch the model inside it: model.module"),
    **dict.fromkeys(_PRODUCTS, "use the module nn.Linear"),
    **dict.fromkeys(
        ("where", "ge", "gt"),
        "for the sign before binary layers use torch.sign(x), or the layer Sign of host_train.layers.binary",
    ),
    **dict.fromkeys(
        ("argmax", "max", "topk", "round", "sort"), "remove it: Classifier.predict chooses the class from the logits"
    ),
    **dict.fromkeys(
        ("logsigmoid", "LogSigmoid"), "remove it, and give from_torch output='sigmoid' or output='independent'"
    ),
    "max_pool2d_with_indices": "use max pooling without return_indices",
}


def advice(operation: str, tensors: int = 1, last: bool = False) -> str:
    """Advice for an operation into which so many tensors go that are computed from the images.

    Examples
    --------
    >>> advice("tanh")
    'use ReLU and train it again'
    >>> advice("tanh", last=True)
    "remove it, say output 'values', and apply it to what Classifier.predict gives"
    """
    arithmetic = _ARITHMETIC.fullmatch(operation)
    if tensors > 1 and (arithmetic or operation in _PRODUCTS):
        return _GATE
    found = _SCALE if arithmetic else ADVICE.get(operation, f"use {mapped()}")
    return _AT_THE_END if last and found == ACTIVATION else found
