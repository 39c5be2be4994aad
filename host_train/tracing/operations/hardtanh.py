"""Hardtanh, ReLU6 and clamps; thresholds and Hardsigmoid, which become these."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from host_train.layers.scale import ChannelScale
from host_train.tracing.operations.advice import ACTIVATION
from host_train.tracing.operations.kind import Kind, Shape, with_attributes
from pynq_cnn.errors import NetworkError


def _clamp(before: Shape, after: Shape, min: Any = None, max: Any = None) -> list[nn.Module]:
    if any(isinstance(bound, torch.Tensor) and bound.numel() != 1 for bound in (min, max)):
        raise NetworkError("a clamp whose bounds differ by channel cannot be mapped; use one number for each bound")
    low, high = -math.inf if min is None else float(min), math.inf if max is None else float(max)
    if low == 0 and high == math.inf:
        return [nn.ReLU()]
    if low >= high or low == math.inf or high <= 0:
        raise NetworkError(f"a clamp from {low:g} to {high:g} cannot be mapped; {ACTIVATION}")
    return [nn.Hardtanh(low, high)]


def _hardtanh(
    before: Shape, after: Shape, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> list[nn.Module]:
    return _clamp(before, after, min_val, max_val)


def _relu6(before: Shape, after: Shape, inplace: bool = False) -> list[nn.Module]:
    return _clamp(before, after, 0, 6)


def _at_most(before: Shape, after: Shape, other: Any) -> list[nn.Module]:
    return _clamp(before, after, None, other)


def _at_least(before: Shape, after: Shape, other: Any) -> list[nn.Module]:
    return _clamp(before, after, other)


def _threshold(before: Shape, after: Shape, threshold: float, value: float, inplace: bool = False) -> list[nn.Module]:
    if threshold != value:
        raise NetworkError(
            f"a threshold at {threshold:g} below which {value:g} stands is a jump, which cannot be mapped; {ACTIVATION}"
        )
    return _clamp(before, after, threshold)


def _hardsigmoid(before: Shape, after: Shape, inplace: bool = False) -> list[nn.Module]:
    sixth = torch.full((before[1] if len(before) > 1 else 1,), 1 / 6)
    return [ChannelScale(sixth, 3 * sixth), nn.Hardtanh(0, 1)]


HARDTANH = Kind(
    {nn.Hardtanh: with_attributes(_clamp, "min_val", "max_val")},  # ReLU6 is one too
    {
        **dict.fromkeys((F.hardtanh, F.hardtanh_), _hardtanh),
        F.relu6: _relu6,
        **dict.fromkeys((torch.clamp, torch.clamp_, torch.clip, torch.clamp_min), _clamp),
        torch.clamp_max: _at_most,
        torch.maximum: _at_least,
        torch.minimum: _at_most,
    },
    {
        **dict.fromkeys(("clamp", "clamp_", "clip", "clip_", "clamp_min", "clamp_min_"), _clamp),
        **dict.fromkeys(("clamp_max", "clamp_max_"), _at_most),
        **dict.fromkeys(("hardtanh", "hardtanh_"), _hardtanh),
        "relu6": _relu6,
        "maximum": _at_least,
        "minimum": _at_most,
    },
)
CLAMPED = Kind(
    {nn.Threshold: with_attributes(_threshold, "threshold", "value"), nn.Hardsigmoid: with_attributes(_hardsigmoid)},
    {
        **dict.fromkeys((F.threshold, torch.threshold, torch.threshold_), _threshold),
        F.hardsigmoid: _hardsigmoid,
    },
)
