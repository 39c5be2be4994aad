"""Operations that leave no layer: dropout, and those that change no value."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from host_train.tracing.operations.kind import Kind, Shape
from pynq_cnn.errors import NetworkError


def _nothing(before: Any, after: Any, *args: Any, **options: Any) -> list[nn.Module]:
    return []


def _dropout(
    before: Shape, after: Shape, p: float = 0.5, training: bool = True, inplace: bool = False
) -> list[nn.Module]:
    if training and p:
        raise NetworkError("this dropout is always on; give it training=self.training, or use nn.Dropout")
    return []


_MODULES = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout, nn.Identity)

DROPPED = Kind(
    dict.fromkeys(_MODULES, _nothing),
    {
        **dict.fromkeys((F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, torch.dropout), _dropout),
        **dict.fromkeys((torch.clone, torch.detach, torch.nan_to_num), _nothing),
    },
    dict.fromkeys(
        (
            *("contiguous", "clone", "detach", "detach_", "to", "cpu", "cuda", "type", "type_as", "requires_grad_"),
            *("float", "double", "nan_to_num"),
        ),
        _nothing,
    ),
)
