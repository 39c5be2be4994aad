"""Softmax and sigmoid, which the host computes behind the logits."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from host_train.tracing.operations.kind import Handler, Kind, Shape, with_attributes
from pynq_cnn.errors import NetworkError


def _softmax(kind: type[nn.Module]) -> Handler:
    def handler(before: Shape, after: Shape, dim: int | None = None, *args: Any, **options: Any) -> list[nn.Module]:
        if len(before) != 2 or dim not in (None, 1, -1):
            raise NetworkError(
                f"a softmax over dimension {dim} of {before} cannot be mapped; over dimension 1 of [n, classes] it can"
            )
        return [kind(1)]

    return handler


def _sigmoid(before: Shape, after: Shape) -> list[nn.Module]:
    return [nn.Sigmoid()]


ENDING = Kind(
    {
        **{kind: with_attributes(_softmax(kind), "dim") for kind in (nn.Softmax, nn.LogSoftmax)},
        nn.Sigmoid: with_attributes(_sigmoid),
    },
    {
        **dict.fromkeys((torch.sigmoid, torch.special.expit, F.sigmoid), _sigmoid),
        **dict.fromkeys((F.softmax, torch.softmax), _softmax(nn.Softmax)),
        **dict.fromkeys((F.log_softmax, torch.log_softmax), _softmax(nn.LogSoftmax)),
    },
    {
        **dict.fromkeys(("sigmoid", "sigmoid_"), _sigmoid),
        "softmax": _softmax(nn.Softmax),
        "log_softmax": _softmax(nn.LogSoftmax),
    },
)
