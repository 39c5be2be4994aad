"""Constants added to tensors and multiplied with them: a factor and a shift for each channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from host_train.layers.scale import ChannelScale
from host_train.tracing.operations.kind import Shape
from pynq_cnn.errors import NetworkError

# By name: methods in place, and the operators of Python, are called alike.
SUM, DIFFERENCE, PRODUCT, QUOTIENT, NEGATIVE = "add", "sub", "mul", "div", "neg"
NAMES = {
    **dict.fromkeys(("add", "add_", "iadd", "__add__", "__radd__", "__iadd__"), SUM),
    **dict.fromkeys(("sub", "sub_", "isub", "subtract", "rsub"), DIFFERENCE),
    **dict.fromkeys(("mul", "mul_", "imul", "multiply"), PRODUCT),
    **dict.fromkeys(("div", "div_", "truediv", "itruediv", "true_divide", "divide"), QUOTIENT),
    **dict.fromkeys(("neg", "neg_", "negative"), NEGATIVE),
}


def _by_channel(constant: Any, shape: Shape) -> torch.Tensor:
    """A constant as float32 [channels], for tensors of `shape`."""
    values = torch.as_tensor(constant, dtype=torch.float32).detach().cpu()
    try:
        full = torch.broadcast_to(values, shape)
    except RuntimeError:
        raise NetworkError(
            f"a constant of shape {tuple(values.shape)} widens {shape}, which cannot be mapped"
        ) from None
    channels = full[0].reshape(shape[1], -1)[:, 0] if len(shape) > 1 else full[:1]
    if not torch.equal(full, channels.reshape(1, -1, *[1] * (len(shape) - 2)).expand(shape)):
        raise NetworkError("a constant that differs from pixel to pixel cannot be mapped; use one for each channel")
    return channels.clone()


def scaled(shape: Shape, factor: float) -> list[nn.Module]:
    """The layer that multiplies a tensor of `shape` with a number."""
    one = torch.ones(shape[1] if len(shape) > 1 else 1)
    return [] if factor == 1 else [ChannelScale(factor * one)]


def made(
    what: str, operation: str, args: Sequence[Any], options: Mapping[str, Any], shape: Shape, after: Shape | None
) -> list[nn.Module]:
    """A tensor of `shape`, the one of the operands that is no number and no constant, with what it is added to or
    multiplied with.

    Examples
    --------
    >>> (scale,) = made(DIFFERENCE, "sub", (3.0, object()), {}, (1, 2), (1, 2))
    >>> scale.weight.tolist(), scale.bias.tolist()
    ([-1.0, -1.0], [3.0, 3.0])
    """
    if what == NEGATIVE:
        return scaled(shape, -1)
    if after != shape:
        raise NetworkError(f"a constant makes {after} of {shape}, which cannot be mapped")
    if options.get("rounding_mode") is not None:
        raise NetworkError("a division that rounds cannot be mapped; divide without")
    operands = [*args, *(options[name] for name in ("input", "other") if name in options)]
    reverse = _is_constant(operands[0]) != (operation == "rsub")
    constant = next(one for one in operands if _is_constant(one))
    value = _by_channel(constant, shape)
    one = torch.ones_like(value)
    alpha = options.get("alpha", 1)
    if what in (SUM, DIFFERENCE):
        if reverse and alpha != 1:
            raise NetworkError("a sum with a factor (alpha) cannot be mapped; multiply before it")
        factor, shift = (-one, value) if what == DIFFERENCE and reverse else (one, value * alpha)
        shift = -shift if what == DIFFERENCE and not reverse else shift
    elif what == QUOTIENT and reverse:
        raise NetworkError("a constant divided by a tensor cannot be mapped; multiply with it")
    else:
        factor, shift = value if what == PRODUCT else 1 / value, 0 * one
    changes = bool((factor != 1).any() or (shift != 0).any())
    return [ChannelScale(factor, shift)] if changes else []


def _is_constant(value: Any) -> bool:
    return isinstance(value, (int, float, torch.Tensor))
