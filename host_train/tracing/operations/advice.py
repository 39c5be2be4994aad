"""Advice: the layers to use in the place of operations that cannot be mapped."""

from __future__ import annotations

import re

from host_train.quantisation.layers.rules import mapped

_JOIN = "from_torch maps no branches yet: remove the skip connection and use one straight line of layers"
_SCALE = (
    "remove it here: what normalises the images goes into the mean and std that from_torch is given, a factor or"
    " shift behind a layer into that layer's weights and bias"
)
_PRODUCTS = ("matmul", "mm", "bmm")
# Methods in place and the operators of Python too.
_ARITHMETIC = re.compile(r"[ir]?(add|sub|mul|div|truediv|neg)_?")
ACTIVATION = "use ReLU and train it again"
_AT_THE_END = "remove it, say output 'values', and apply it to what Classifier.predict gives"
_NORM = "use BatchNorm2d, which folds into the layer before it"

ADVICE = {
    **dict.fromkeys(
        ("cat", "concat", "stack", "hstack", "vstack"),
        "from_torch maps no branches yet: use one wider Conv2d in their place",
    ),
    **dict.fromkeys(("chunk", "split", "unbind"), "from_torch maps no branches yet: use one straight line of layers"),
    **dict.fromkeys(
        ("tanh", "gelu", "silu", "leaky_relu", "elu", "relu6", "hardswish", "prelu", "selu", "mish"), ACTIVATION
    ),
    **dict.fromkeys(
        ("Tanh", "GELU", "SiLU", "LeakyReLU", "ELU", "ReLU6", "Hardswish", "PReLU", "SELU", "Mish"), ACTIVATION
    ),
    **dict.fromkeys(
        ("LayerNorm", "GroupNorm", "InstanceNorm2d", "LocalResponseNorm", "layer_norm", "group_norm"), _NORM
    ),
    **dict.fromkeys(("DataParallel", "DistributedDataParallel"), "give from_torch the model inside it: model.module"),
    "conv2d": "use the module nn.Conv2d",
    **dict.fromkeys(("linear", *_PRODUCTS), "use the module nn.Linear"),
    "batch_norm": "use the module nn.BatchNorm2d",
    **dict.fromkeys(
        ("where", "ge", "gt"),
        "for the sign before binary layers use torch.sign(x), or the layer Sign of host_train.layers.binary",
    ),
    **dict.fromkeys(
        ("permute", "transpose"), "keep the order [n, channels, height, width]; flattening is torch.flatten(x, 1)"
    ),
    "clamp": "use ReLU",
    **dict.fromkeys(
        ("argmax", "max", "topk", "round"), "remove it: Classifier.predict chooses the class from the logits"
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
        return _JOIN
    found = _SCALE if arithmetic else ADVICE.get(operation, f"use {mapped()}, one behind the other")
    return _AT_THE_END if last and found == ACTIVATION else found
