"""Operations that leave no layer: dropout, and those that change no value."""

from __future__ import annotations

from typing import Any

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
    dict.fromkeys((F.dropout, F.dropout2d, F.alpha_dropout), _dropout),
    dict.fromkeys(("contiguous", "clone", "detach", "float"), _nothing),
)
