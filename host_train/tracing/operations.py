"""What each module, function and method of a traced model becomes, and what to use in the place of those that become nothing."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from host_train.layers.binary import BinaryConv2d, BinaryLinear, Sign, binarise
from host_train.quantisation.fold import NORMS, pair
from pynq_cnn.errors import NetworkError

Shape = tuple[int, ...]
Handler = Callable[..., list[nn.Module]]
SUPPORTED = "Conv2d, Linear, BatchNorm, ReLU, MaxPool2d, AvgPool2d, Flatten and Dropout, one behind the other"

WEIGHTED: tuple[type[nn.Module], ...] = (nn.Conv2d, nn.Linear, *NORMS, BinaryConv2d, BinaryLinear)
DROPPED = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout, nn.Identity)
LEAVES = (*WEIGHTED, *DROPPED, nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, nn.Hardtanh, Sign, nn.AdaptiveAvgPool2d, nn.Flatten)


class Reshape(nn.Identity):
    """The same numbers of each image, in the same order, in another shape; several of them may make up a flattening."""

    def __init__(self, before: Shape, after: Shape) -> None:
        super().__init__()
        self.before, self.after = before, after


class Unchanged(nn.Identity):
    """Average pooling of single pixels: it changes nothing, but a network may end with it."""


# ---------------------------------------------------------------------------------------------------- functions

# A handler takes the shapes of the tensor before and after, then the call's own arguments.


def _nothing(before: Shape, after: Shape, *args: Any, **options: Any) -> list[nn.Module]:
    return []


def _relu(before: Shape, after: Shape, inplace: bool = False) -> list[nn.Module]:
    return [nn.ReLU()]


def _hardtanh(before: Shape, after: Shape, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> list[nn.Module]:
    if not min_val < 0 < max_val:
        raise NetworkError(f"a Hardtanh from {min_val} to {max_val} cannot be mapped; {_ACTIVATION}")
    return [nn.Hardtanh(min_val, max_val)]


def _sign(function: Callable[[torch.Tensor], torch.Tensor]) -> Handler:
    def handler(before: Shape, after: Shape) -> list[nn.Module]:
        return [Sign(function)]

    return handler


def _max_pool(
    before: Shape,
    after: Shape,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> list[nn.Module]:
    return [nn.MaxPool2d(_plain(kernel_size), _plain(stride), _plain(padding), _plain(dilation), ceil_mode=ceil_mode)]


def _avg_pool(
    before: Shape,
    after: Shape,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> list[nn.Module]:
    pool = nn.AvgPool2d(_plain(kernel_size), _plain(stride), _plain(padding), ceil_mode, count_include_pad, divisor_override)
    return [Unchanged()] if after == before and pair(pool.kernel_size) == (1, 1) and divisor_override in (None, 1) else [pool]


def _adaptive_avg_pool(before: Shape, after: Shape, output_size: Any) -> list[nn.Module]:
    """Average pooling of the size that this input needs."""
    if len(before) != 4:
        raise NetworkError(f"average pooling takes [n, channels, height, width], not {before}")
    given, wanted = before[2:], after[2:]
    if any(side % parts for side, parts in zip(given, wanted)):
        raise NetworkError(f"adaptive pooling of {given} to {wanted} has windows of different sizes; choose an output size that divides it")
    return _average((given[0] // wanted[0], given[1] // wanted[1]))


def _average(window: tuple[int, int]) -> list[nn.Module]:
    return [Unchanged() if window == (1, 1) else nn.AvgPool2d(window)]


def _mean(before: Shape, after: Shape, dim: Any = None, keepdim: bool = False) -> list[nn.Module]:
    """The mean over height and width is global average pooling; so is that over pixels in a row, or over one side and then the other."""
    dims = sorted(d % len(before) for d in ([dim] if isinstance(dim, int) else dim or []))
    if len(before) not in (3, 4) or not dims or dims[0] < 2:
        raise NetworkError(f"a mean over dimensions {dim} of {before} cannot be mapped; over height and width, dim=(2, 3), it can")
    image = (*before, 1) if len(before) == 3 else before
    left = tuple(1 if d in dims else side for d, side in enumerate(image))
    pooled = _average((image[2] // left[2], image[3] // left[3]))
    return [Reshape(before, image), *pooled, Reshape(left, after)]


def _reshape(before: Shape, after: Shape, *args: Any, **options: Any) -> list[nn.Module]:
    """Another shape for each image, however it is written: the shapes tell."""
    if after[:1] != before[:1] or math.prod(after) != math.prod(before):
        raise NetworkError(unmapped_shape(before, after))
    return [Reshape(before, after)]


def unmapped_shape(before: Shape, after: Shape) -> str:
    return f"making {after} of {before} cannot be mapped; only flattening each image can: torch.flatten(x, 1)"


def _index(before: Shape, after: Shape, index: Any) -> list[nn.Module]:
    """`x[:, :, 0, 0]` of single pixels: an index that takes all there is, in its order."""
    parts = index if isinstance(index, tuple) else (index,)
    if any(part is not None and part is not Ellipsis and not isinstance(part, (int, slice)) for part in parts):
        raise NetworkError("an index of several places cannot be mapped; use one straight line of layers")
    return _part(before, after)


def _part(before: Shape, after: Shape, *args: Any, **options: Any) -> list[nn.Module]:
    if math.prod(after) != math.prod(before):
        raise NetworkError(f"taking {after} of {before} cannot be mapped; use all of it, or a layer with fewer outputs")
    return _reshape(before, after)


def _dropout(before: Shape, after: Shape, p: float = 0.5, training: bool = True, inplace: bool = False) -> list[nn.Module]:
    if training and p:
        raise NetworkError("this dropout is always on; give it training=self.training, or use nn.Dropout")
    return []


def _softmax(kind: type[nn.Module]) -> Handler:
    def handler(before: Shape, after: Shape, dim: int | None = None, *args: Any, **options: Any) -> list[nn.Module]:
        if len(before) != 2 or dim not in (None, 1, -1):
            raise NetworkError(f"a softmax over dimension {dim} of {before} cannot be mapped; over dimension 1 of [n, classes] it can")
        return [kind(1)]

    return handler


def _sigmoid(before: Shape, after: Shape) -> list[nn.Module]:
    return [nn.Sigmoid()]


def _plain(value: Any) -> Any:
    """A size as modules keep it, an integer or two; None for none, which PyTorch also writes as an empty sequence."""
    if value is None or isinstance(value, int):
        return value
    sides = tuple(int(side) for side in value)
    return pair(sides) if sides else None


FUNCTIONS: dict[Any, Handler] = {
    **dict.fromkeys((F.relu, torch.relu, torch.relu_, F.relu_), _relu),
    **dict.fromkeys((F.hardtanh, F.hardtanh_), _hardtanh),
    **dict.fromkeys((F.max_pool2d, torch.max_pool2d), _max_pool),
    torch.sign: _sign(torch.sign),
    binarise: _sign(binarise),
    F.avg_pool2d: _avg_pool,
    F.adaptive_avg_pool2d: _adaptive_avg_pool,
    torch.mean: _mean,
    **dict.fromkeys((torch.flatten, torch.reshape, torch.squeeze, torch.unsqueeze, torch.unflatten), _reshape),
    operator.getitem: _index,
    **dict.fromkeys((torch.select, torch.narrow), _part),
    **dict.fromkeys((torch.sigmoid, torch.special.expit, F.sigmoid), _sigmoid),
    **dict.fromkeys((F.dropout, F.dropout2d, F.alpha_dropout), _dropout),
    **dict.fromkeys((F.softmax, torch.softmax), _softmax(nn.Softmax)),
    **dict.fromkeys((F.log_softmax, torch.log_softmax), _softmax(nn.LogSoftmax)),
}
METHODS: dict[str, Handler] = {
    **dict.fromkeys(("relu", "relu_"), _relu),
    **dict.fromkeys(("sign", "sign_"), _sign(torch.sign)),
    "mean": _mean,
    **dict.fromkeys(("flatten", "view", "reshape", "squeeze", "squeeze_", "unsqueeze", "unflatten", "view_as", "reshape_as"), _reshape),
    **dict.fromkeys(("select", "narrow"), _part),
    **dict.fromkeys(("sigmoid", "sigmoid_"), _sigmoid),
    **dict.fromkeys(("contiguous", "clone", "detach", "float"), _nothing),
    "softmax": _softmax(nn.Softmax),
    "log_softmax": _softmax(nn.LogSoftmax),
}

# ------------------------------------------------------------------------------------------------------ modules


# Layers are made anew and not copied: hooks stay behind, so that comparing with the model finds those that change values.


def _with_weights(layer: nn.Module) -> nn.Module:
    """A layer of the same kind with the weights as they act, masks of pruning applied: tensors of its own on the CPU."""
    made: nn.Module
    if isinstance(layer, BinaryConv2d):
        outputs, inputs, side = layer.weight.shape[:3]
        made = BinaryConv2d(inputs, outputs, side, layer.padding, input_step=layer.input_step)
    elif isinstance(layer, BinaryLinear):
        made = BinaryLinear(layer.weight.shape[1], layer.weight.shape[0])
        made.scale = layer.scale
    elif isinstance(layer, nn.Conv2d):
        made = nn.Conv2d(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,  # type: ignore[arg-type]
            _plain(layer.stride),
            layer.padding if isinstance(layer.padding, str) else _plain(layer.padding),
            _plain(layer.dilation),
            layer.groups,
            layer.bias is not None,
            layer.padding_mode,
        )
    elif isinstance(layer, nn.Linear):
        made = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None)
    else:
        assert isinstance(layer, NORMS)
        kind = nn.BatchNorm1d if isinstance(layer, nn.BatchNorm1d) else nn.BatchNorm2d
        made = kind(layer.num_features, layer.eps, layer.momentum, layer.affine, layer.running_mean is not None)
    with torch.no_grad():
        for name in [*dict(made.named_parameters()), *dict(made.named_buffers())]:
            getattr(made, name).copy_(getattr(layer, name))
    return made.eval()


def module_layers(module: nn.Module, before: Shape, after: Shape, last: bool = False) -> list[nn.Module]:
    """What a leaf module becomes, the last operation of a model or not; `NetworkError` if nothing."""
    if isinstance(module, (nn.Linear, BinaryLinear)) and len(before) != 2:
        raise NetworkError(f"it takes [n, features], not {before}; flatten each image before it: torch.flatten(x, 1)")
    if isinstance(module, WEIGHTED):
        return [_with_weights(module)]
    if isinstance(module, DROPPED):
        return []
    if isinstance(module, nn.ReLU):
        return _relu(before, after)
    if isinstance(module, nn.MaxPool2d):
        return _max_pool(before, after, module.kernel_size, module.stride, module.padding, module.dilation, module.ceil_mode)
    if isinstance(module, nn.AvgPool2d):
        options = (module.ceil_mode, module.count_include_pad, module.divisor_override)
        return _avg_pool(before, after, module.kernel_size, module.stride, module.padding, *options)
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return _adaptive_avg_pool(before, after, module.output_size)
    if isinstance(module, (nn.Flatten, nn.Unflatten)):
        return _reshape(before, after)
    if isinstance(module, (nn.Softmax, nn.LogSoftmax)):
        return _softmax(type(module))(before, after, module.dim)
    if isinstance(module, nn.Sigmoid):
        return _sigmoid(before, after)
    if isinstance(module, nn.Hardtanh):
        return _hardtanh(before, after, module.min_val, module.max_val)  # ReLU6 is one too
    if isinstance(module, Sign) and module.function in (binarise, torch.sign):
        return _sign(module.function)(before, after)
    raise NetworkError(f"a {type(module).__name__} cannot be mapped; {advice(type(module).__name__, last=last)}")


# ------------------------------------------------------------------------------------------------------- advice

_JOIN = "the engine has no branches: leave the skip connection away and use one straight line of layers"
_SCALE = (
    "leave it away here: what normalises the images goes into the mean and std that from_torch is given, a factor or shift behind a layer "
    "into that layer's weights and bias"
)
_PRODUCTS = ("matmul", "mm", "bmm")
_ARITHMETIC = re.compile(r"[ir]?(add|sub|mul|div|truediv|neg)_?")  # with the methods in place and the operators of Python
_ACTIVATION = "use ReLU and train it again"
_AT_THE_END = "leave it away, say output 'values', and apply it to what Classifier.predict gives"
_NORM = "use BatchNorm2d, which folds into the layer before it"

ADVICE = {
    **dict.fromkeys(("cat", "concat", "stack", "hstack", "vstack"), "the engine has no branches: use one wider Conv2d in their place"),
    **dict.fromkeys(("chunk", "split", "unbind"), "the engine has no branches: use one straight line of layers"),
    **dict.fromkeys(("tanh", "gelu", "silu", "leaky_relu", "elu", "relu6", "hardswish", "prelu", "selu", "mish"), _ACTIVATION),
    **dict.fromkeys(("Tanh", "GELU", "SiLU", "LeakyReLU", "ELU", "ReLU6", "Hardswish", "PReLU", "SELU", "Mish"), _ACTIVATION),
    **dict.fromkeys(("LayerNorm", "GroupNorm", "InstanceNorm2d", "LocalResponseNorm", "layer_norm", "group_norm"), _NORM),
    **dict.fromkeys(("DataParallel", "DistributedDataParallel"), "give from_torch the model inside it: model.module"),
    "conv2d": "use the module nn.Conv2d",
    **dict.fromkeys(("linear", *_PRODUCTS), "use the module nn.Linear"),
    "batch_norm": "use the module nn.BatchNorm2d",
    **dict.fromkeys(
        ("where", "ge", "gt"), "for the sign before binary layers use torch.sign(x), or the layer Sign of host_train.layers.binary"
    ),
    **dict.fromkeys(("permute", "transpose"), "keep the order [n, channels, height, width]; flattening is torch.flatten(x, 1)"),
    "clamp": "use ReLU",
    **dict.fromkeys(("argmax", "max", "topk", "round"), "leave it away: Classifier.predict chooses the class from the logits"),
    **dict.fromkeys(("logsigmoid", "LogSigmoid"), "leave it away, and give from_torch output='sigmoid' or output='independent'"),
    "max_pool2d_with_indices": "use max pooling without return_indices",
}


def advice(operation: str, tensors: int = 1, last: bool = False) -> str:
    """What to use in the place of `operation`, into which so many tensors go that are computed from the images.

    Examples
    --------
    >>> advice("tanh")
    'use ReLU and train it again'
    >>> advice("tanh", last=True)
    "leave it away, say output 'values', and apply it to what Classifier.predict gives"
    """
    arithmetic = _ARITHMETIC.fullmatch(operation)
    if tensors > 1 and (arithmetic or operation in _PRODUCTS):
        return _JOIN
    found = _SCALE if arithmetic else ADVICE.get(operation, f"use {SUPPORTED}")
    return _AT_THE_END if last and found == _ACTIVATION else found
