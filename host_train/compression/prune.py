"""Pruning by magnitude, with the masks of `torch.nn.utils.prune`.

[Han, Pool, Tran and Dally 2015, arXiv 1506.02626; the course of the rounds: Zhu and Gupta 2017, arXiv 1710.01878, equation 1]
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn.utils import prune

from host_train.quantisation.fold import WEIGHTED
from pynq_cnn.errors import ArgumentError

Weighted = nn.Conv2d | nn.Linear


def weighted_layers(model: nn.Module) -> dict[str, Weighted]:
    """The layers of a folded network that have weights, by name."""
    return {name: layer for name, layer in model.named_children() if isinstance(layer, WEIGHTED)}


def effective(layer: Weighted) -> torch.Tensor:
    """The weight that the layer computes with: `layer.weight` itself is as old as the last forward pass, whatever was loaded since."""
    return (layer.weight_orig * layer.weight_mask).detach() if prune.is_pruned(layer) else layer.weight.detach()  # type: ignore[operator]


def masked(model: nn.Sequential) -> nn.Sequential:
    """`model` itself, its layers with masks that keep everything: `weight_orig` is trained, `weight` is `weight_orig * weight_mask`.

    The masks are buffers, so they are saved and loaded with the weights.
    """
    for layer in weighted_layers(model).values():
        if not prune.is_pruned(layer):
            prune.identity(layer, "weight")
    return model


def plain(model: nn.Sequential) -> nn.Sequential:
    """`model` itself without masks: what they left out is 0 in its weights."""
    for layer in weighted_layers(model).values():
        if prune.is_pruned(layer):
            prune.remove(layer, "weight")
    return model


def prune_to(model: nn.Sequential, keep: Mapping[str, float]) -> None:
    """Mask the smallest weights of each layer until a part of `keep[name]` of all its weights is left (at least one).

    What is masked stays so: a layer that has no more than that is not changed.

    Parameters
    ----------
    model : torch.nn.Sequential
        From `fold`, with masks or without.
    keep : mapping
        Part to keep, above 0 to 1, of every layer with weights.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(4, 1))
    >>> model[0].weight.data = torch.tensor([[0.1, -3.0, 2.0, -0.5]])
    >>> prune_to(model, {"0": 0.5})
    >>> model[0].weight.tolist(), kept(model)
    ([[0.0, -3.0, 2.0, -0.0]], {'0': (2, 4)})
    """
    for name, layer in weighted_layers(masked(model)).items():
        mask = layer.get_buffer("weight_mask")
        excess = int(mask.sum().item()) - max(1, round(keep[name] * mask.numel()))
        if excess > 0:
            prune.l1_unstructured(layer, "weight", amount=excess, importance_scores=effective(layer))


def threshold_keep(model: nn.Sequential, threshold: float) -> dict[str, float]:
    """Part of each layer's weights that reaches a threshold, for `prune_to`.

    Parameters
    ----------
    model : torch.nn.Sequential
        From `fold`.
    threshold : float
        In units of the standard deviation of the layer's weights, as Han et al. 2015 have it (section 3.1).

    Raises
    ------
    ArgumentError
        For a negative threshold.
    """
    if not 0 <= threshold < float("inf"):
        raise ArgumentError(f"the threshold must not be negative, not {threshold!r}")
    parts = {}
    for name, layer in weighted_layers(model).items():
        weight = effective(layer)
        reached = int((weight.abs() >= threshold * weight.std(correction=0)).sum().item())
        parts[name] = max(1, reached) / weight.numel()
    return parts


def round_keep(keep: Mapping[str, float], number: int, rounds: int) -> dict[str, float]:
    """What is kept after round `number` of `rounds`: much goes at first, less and less later.

    The sparsity is `final * (1 - (1 - number / rounds)^3)`.

    Examples
    --------
    >>> [round(round_keep({"fc": 0.1}, number, 3)["fc"], 3) for number in (0, 1, 2, 3)]
    [1.0, 0.367, 0.133, 0.1]
    """
    left = (1 - number / rounds) ** 3
    return {name: part + (1 - part) * left for name, part in keep.items()}


def kept(model: nn.Sequential) -> dict[str, tuple[int, int]]:
    """Weights of each layer that are not 0, and all of them."""
    return {name: (int(torch.count_nonzero(effective(layer))), layer.weight.numel()) for name, layer in weighted_layers(model).items()}


def describe_kept(model: nn.Sequential) -> str:
    """A table of `kept`."""
    counts = kept(model)
    counts["total"] = (sum(left for left, _ in counts.values()), sum(size for _, size in counts.values()))
    wide = max(map(len, counts))
    rows = [f"{name.ljust(wide)}  {left:>10,} of {size:>10,}  {100 * left / size:7.3f} %" for name, (left, size) in counts.items()]
    return "\n".join([f"{'layer'.ljust(wide)}  weights kept", *rows])
