"""Advice: the layers to use in the place of operations that cannot be mapped."""

from __future__ import annotations

import re

from host_train.quantisation.layers.rules import mapped

_GATE = (
    "a product of two tensors, such as a gate, is beyond bytes times weights: remove the gate (squeeze-and-excitation,"
    " attention), and train it again without"
)
LARGER = "nothing here makes an image larger: leave it out, or do it to the picture before the network"
_SCALE = "use a plain number, or one for each channel"
_PRODUCTS = (
    *("matmul", "mm", "bmm", "einsum", "scaled_dot_product_attention", "addmm", "addbmm", "baddbmm", "tensordot"),
    *("mv", "dot", "inner", "outer"),
)
# Methods in place and the operators of Python too.
_ARITHMETIC = re.compile(r"[ir]?(add|sub|mul|div|truediv|neg)_?")
ACTIVATION = "use ReLU and train it again"
_AT_THE_END = "remove it, say output 'values', and apply it to what Classifier.predict gives"
_CHOICE = "remove it: Classifier.predict chooses the class from the logits"
_RELU_OR_SIGN = (
    "for a ReLU use F.relu(x); for the sign before binary layers torch.sign(x), or the layer Sign of"
    " host_train.layers.binary"
)
_BY_ITSELF = "remove it: activations become bytes by themselves, in steps found on the calibration images"
_NORM = "use BatchNorm2d, which folds into the layer before it"

ADVICE = {
    **dict.fromkeys(
        ("stack", "hstack", "vstack"),
        "use torch.cat(tensors, 1), which puts channels side by side, or a + b for a sum",
    ),
    **dict.fromkeys(
        ("ConvTranspose1d", "ConvTranspose2d", "conv_transpose1d", "conv_transpose2d"),
        LARGER,
    ),
    **dict.fromkeys(
        ("LSTM", "GRU", "RNN", "MultiheadAttention", "TransformerEncoderLayer", "Embedding"),
        "the accelerator has no such layer; use a network of convolutions",
    ),
    **dict.fromkeys(
        (
            *("tanh", "gelu", "silu", "elu", "celu", "selu", "mish", "hardswish", "softplus", "softsign", "tanhshrink"),
            *("softshrink", "hardshrink", "glu", "pow", "square", "sqrt", "sin", "cos", "erf"),
            *("Tanh", "GELU", "SiLU", "ELU", "CELU", "SELU", "Mish", "Hardswish", "Softplus", "Softsign", "Tanhshrink"),
            *("Softshrink", "Hardshrink", "GLU"),
        ),
        ACTIVATION,
    ),
    **dict.fromkeys(
        ("LayerNorm", "GroupNorm", "InstanceNorm2d", "LocalResponseNorm", "layer_norm", "group_norm"), _NORM
    ),
    **dict.fromkeys(("DataParallel", "DistributedDataParallel"), "give from_torch the model inside it: model.module"),
    **dict.fromkeys(_PRODUCTS, "use the module nn.Linear"),
    **dict.fromkeys(("where", "ge", "gt", "le", "lt"), _RELU_OR_SIGN),
    **dict.fromkeys(("argmax", "topk", "sort", "argsort"), _CHOICE),
    "max": "over height and width use x.amax((2, 3))",
    **dict.fromkeys(
        (
            *("round", "fake_quantize_per_tensor_affine", "fake_quantize_per_channel_affine", "FakeQuantize"),
            *("quantize_per_tensor", "half", "bfloat16"),
        ),
        _BY_ITSELF,
    ),
    **dict.fromkeys(("zeros_like", "ones_like", "full_like"), "use a plain number, as in x.clamp(min=0), or F.relu(x)"),
    "maximum": "of two tensors write b + F.relu(a - b)",
    "minimum": "of two tensors write b - F.relu(b - a)",
    "lerp": "write a + weight * (b - a)",
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
    if last:
        at_the_end = _CHOICE if operation in ("max", "round") else ADVICE.get(operation)
        return _AT_THE_END if at_the_end in (None, ACTIVATION) and not arithmetic else at_the_end or _SCALE
    return _SCALE if arithmetic else ADVICE.get(operation, f"use {mapped()}")
