"""The same numbers of each image in another shape."""

from __future__ import annotations

import math
import operator
from typing import Any

import torch
from torch import nn

from host_train.tracing.operations.kind import Kind, Shape
from pynq_cnn.errors import NetworkError


class Reshape(nn.Identity):
    """The same numbers of each image, in the same order, in another shape; several of them may make up a flattening."""

    def __init__(self, before: Shape, after: Shape) -> None:
        super().__init__()
        self.before, self.after = before, after


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


def _module(layer: nn.Module, before: Shape, after: Shape) -> list[nn.Module]:
    return _reshape(before, after)


_NAMES = ("flatten", "view", "reshape", "squeeze", "squeeze_", "unsqueeze", "unflatten", "view_as", "reshape_as")

RESHAPE = Kind(
    dict.fromkeys((nn.Flatten, nn.Unflatten), _module),
    {
        **dict.fromkeys((torch.flatten, torch.reshape, torch.squeeze, torch.unsqueeze, torch.unflatten), _reshape),
        operator.getitem: _index,
        **dict.fromkeys((torch.select, torch.narrow), _part),
    },
    {**dict.fromkeys(_NAMES, _reshape), **dict.fromkeys(("select", "narrow"), _part)},
)
