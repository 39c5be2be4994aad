"""The same numbers of each image in another shape or order, fewer of them, or with zeros around.

What such an operation does is found by doing it to the numbers' places (`host_train.tracing.flow`).
"""

from __future__ import annotations

import operator
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from host_train.tracing.operations.advice import LARGER
from host_train.tracing.operations.kind import Shape
from pynq_cnn.errors import NetworkError

MODULES = (
    nn.Flatten,
    nn.Unflatten,
    nn.ChannelShuffle,
    nn.PixelShuffle,
    nn.PixelUnshuffle,
    nn.ZeroPad1d,
    nn.ZeroPad2d,
    nn.ConstantPad1d,
    nn.ConstantPad2d,
    nn.Upsample,
    nn.UpsamplingNearest2d,
    nn.UpsamplingBilinear2d,
)

FUNCTIONS = {
    F.pad,
    F.interpolate,
    F.upsample,
    operator.getitem,
    getattr,
    *(
        getattr(torch, name)
        for name in (
            *("flatten", "reshape", "squeeze", "unsqueeze", "unflatten", "select", "narrow", "transpose", "permute"),
            *("movedim", "swapaxes", "chunk", "split", "tensor_split", "unbind", "flip", "roll", "channel_shuffle"),
            *("pixel_shuffle", "pixel_unshuffle", "index_select", "t", "ravel", "moveaxis", "swapdims", "tile"),
            *("rot90", "fliplr", "flipud", "repeat_interleave"),
        )
    ),
}

RESIZING = ("upsample_nearest1d", "upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d")  # operators

METHOD_NAMES = {
    *("flatten", "view", "reshape", "squeeze", "squeeze_", "unsqueeze", "unsqueeze_", "unflatten", "view_as"),
    *("reshape_as", "select", "narrow", "transpose", "transpose_", "permute", "movedim", "swapaxes", "chunk", "split"),
    *("tensor_split", "unbind", "flip", "roll", "index_select", "expand", "expand_as", "repeat", "t", "slice", "pad"),
    *(
        "ravel",
        "split_with_sizes",
        "__getitem__",
        "_unsafe_view",
        "constant_pad_nd",
        "pixel_shuffle",
        "pixel_unshuffle",
    ),
    *("moveaxis", "swapdims", "tile", "rot90", "fliplr", "flipud", "repeat_interleave"),
    *RESIZING,
}


PADS = (nn.ZeroPad1d, nn.ZeroPad2d, nn.ConstantPad1d, nn.ConstantPad2d)


def moves(target: Any, operation: str) -> bool:
    """Whether a module, function, method (its name) or exported operator only moves numbers."""
    if isinstance(target, nn.Module):
        return any(isinstance(target, kind) and type(target).forward is kind.forward for kind in MODULES)
    return operation in METHOD_NAMES if isinstance(target, str) or hasattr(target, "_schema") else target in FUNCTIONS


def apply(target: Any, operation: str, args: Any, options: Any) -> Any:
    """The places behind a module, function, method or exported operator; zeros get the place -1."""
    if isinstance(target, PADS):
        return _padded(args[0], target.padding, "constant", target.value)
    if operation in ("pad", "constant_pad_nd"):
        options = {"mode": "constant", "value": 0, **options}
        rest: tuple[Any, ...] = tuple(args[2:]) if operation == "pad" else ("constant", *args[2:])
        mode, value = (*rest, *list(options.values())[len(rest) : 2])
        return _padded(args[0], args[1] if len(args) > 1 else options["pad"], mode, value)
    if isinstance(target, nn.Upsample) or target in (F.interpolate, F.upsample) or operation in RESIZING:
        return _resized(target, operation, args, options)
    if isinstance(target, nn.Module):
        return type(target).forward(target, *args)
    return getattr(args[0], target)(*args[1:], **options) if isinstance(target, str) else target(*args, **options)


def _resized(target: Any, operation: str, args: Any, options: Any) -> torch.Tensor:
    """Places in an image of another size: fewer of the same numbers, if these are the nearest ones."""
    named = dict(options)
    index, *rest = args or (named.pop("input"),)
    made = target(index.double(), *rest, **named)  # places are whole numbers below 2^53
    if made.shape == index.shape:
        return index
    if "nearest" not in _mode(target, operation, rest, named):
        larger = any(after > before for before, after in zip(index.shape, made.shape))
        raise NetworkError(
            f"it cannot be mapped; {LARGER if larger else 'only the nearest pixels can, mode=nearest; use AvgPool2d'}"
        )
    return made.long()


def _mode(target: Any, operation: str, args: Any, options: Any) -> str:
    """How sizes are changed, as `F.interpolate` calls it."""
    if isinstance(target, nn.Module):
        return str(target.mode)
    if target in (F.interpolate, F.upsample):
        return str(options.get("mode", args[2] if len(args) > 2 else "nearest"))
    return operation


def _padded(index: torch.Tensor, padding: Any, mode: str, value: float | None) -> torch.Tensor:
    if mode != "constant" or value not in (None, 0):
        raise NetworkError("only padding with zeros can be mapped; use mode='constant', value=0")
    return F.pad(index, [int(side) for side in padding], value=-1)


def unmapped_shape(before: Shape, after: Shape) -> str:
    """The refusal of a shape, or an order, that no layer takes."""
    if len(before) == len(after) == 4:
        larger = any(now > then for then, now in zip(before[2:], after[2:]))
        return f"making {after} of {before} in this order of the values cannot be mapped" + larger * f": {LARGER}"
    return f"making {after} of {before} cannot be mapped; flattening each image can: torch.flatten(x, 1)"
