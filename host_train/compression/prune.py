"""Pruning by magnitude, with the masks of `torch.nn.utils.prune`.

[Han, Pool, Tran and Dally 2015, arXiv 1506.02626; the course of the rounds: Zhu and Gupta 2017, arXiv 1710.01878,
equation 1]
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils import parametrize, prune

from host_train.compression.recipe import check_part, for_layers
from pynq_cnn.errors import ArgumentError
from pynq_cnn.table import text_table

Model = TypeVar("Model", bound=nn.Module)
Prunable = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d


def weighted_layers(model: nn.Module) -> dict[str, Prunable]:
    """The convolutions and linear layers of any model, by their full names, such as `features.0`; `ArgumentError` if it
    has none.
    """
    found = {name: layer for name, layer in model.named_modules() if isinstance(layer, Prunable)}
    if not found:
        raise ArgumentError(
            f"{type(model).__name__} has no convolution and no linear layer, and so no weights to compress"
        )
    return found


def warn_left_out(model: nn.Module) -> None:
    """Say which modules have weights of a kind that `weighted_layers` does not know: embeddings, binary layers, some of
    the user's own.
    """
    others = [
        f"{name} ({type(module).__name__})"
        for name, module in model.named_modules()
        if not isinstance(module, Prunable) and any(one.ndim > 1 for one in module.parameters(recurse=False))
    ]
    if others:
        warnings.warn(f"only convolutions and linear layers are compressed, and not {', '.join(others)}", stacklevel=3)


def effective(layer: Prunable) -> torch.Tensor:
    """The weight that the layer computes with: `layer.weight` itself is as old as the last forward pass, whatever was
    loaded since.
    """
    return (layer.weight_orig * layer.weight_mask).detach() if prune.is_pruned(layer) else layer.weight.detach()  # type: ignore[operator]


def masked(model: Model) -> Model:
    """`model` itself, its layers with masks that keep everything: `weight_orig` is trained, `weight` is `weight_orig *
    weight_mask`.

    The masks are buffers, so they are saved and loaded with the weights.
    """
    for name, layer in weighted_layers(model).items():
        if parametrize.is_parametrized(layer, "weight"):
            raise ArgumentError(
                f"the weight of {name} is parametrised, such as by sharing; prune first, or prune unshared(model)"
            )
    for layer in weighted_layers(model).values():
        if not prune.is_pruned(layer):
            prune.identity(layer, "weight")
    return model


def plain(model: Model) -> Model:
    """`model` itself without masks: what they left out is 0 in its weights."""
    for layer in weighted_layers(model).values():
        if prune.is_pruned(layer):
            prune.remove(layer, "weight")
    return model


def prune_to(model: nn.Module, keep: Mapping[str, float]) -> None:
    """Mask the smallest weights of each layer until a part of `keep[name]` of all its weights is left (at least one).

    Masked weights stay so: a layer that has no more than that is not changed.

    Parameters
    ----------
    model : torch.nn.Module
        Any, with masks or without; layers are found in nested modules too.
    keep : mapping
        Part to keep, above 0 to 1, by the layer's full name, such as `features.0`, or `"*"` for all others. A layer
        that is not named keeps all.

    Raises
    ------
    ArgumentError
        If `keep` names a layer that is not there (it lists those that are), or a part is out of range.

    Warns
    -----
    UserWarning
        If the model has weights in other modules than convolutions and linear layers, which stay as they are.

    Examples
    --------
    >>> model = nn.Sequential(nn.Sequential(nn.Flatten(), nn.Linear(4, 1)), nn.Linear(1, 2))
    >>> model[0][1].weight.data = torch.tensor([[0.1, -3.0, 2.0, -0.5]])
    >>> prune_to(model, {"0.1": 0.5})
    >>> model[0][1].weight.tolist(), kept(model)
    ([[0.0, -3.0, 2.0, -0.0]], {'0.1': (2, 4), '1': (2, 2)})
    """
    parts = for_layers("keep", keep, weighted_layers(model))
    for name, part in parts.items():
        check_part(name, part)
    warn_left_out(model)
    layers = weighted_layers(masked(model))
    for name, part in parts.items():
        layer = layers[name]
        mask = layer.get_buffer("weight_mask")
        excess = int(mask.sum().item()) - max(1, round(part * mask.numel()))
        if excess > 0:
            prune.l1_unstructured(layer, "weight", amount=excess, importance_scores=effective(layer))


def threshold_keep(model: nn.Module, threshold: float, absolute: bool = False) -> dict[str, float]:
    """Part of each layer's weights that reaches a threshold, for `prune_to`.

    Parameters
    ----------
    model : torch.nn.Module
        Any.
    threshold : float
        In units of the standard deviation of the layer's weights, as Han et al. 2015 have it (section 3.1).
    absolute : bool
        In units of the weights themselves.

    Raises
    ------
    ArgumentError
        For a negative threshold, or a model without weights.

    Examples
    --------
    >>> model = nn.Linear(4, 1)
    >>> model.weight.data = torch.tensor([[0.1, -0.3, 0.05, 0.02]])
    >>> threshold_keep(model, 0.1, absolute=True), threshold_keep(model, 2.0)
    ({'': 0.5}, {'': 0.25})
    """
    if not 0 <= threshold < float("inf"):
        raise ArgumentError(f"the threshold must not be negative, not {threshold!r}")
    parts = {}
    for name, layer in weighted_layers(model).items():
        weight = effective(layer)
        least = threshold if absolute else threshold * weight.std(correction=0)
        parts[name] = max(1, int((weight.abs() >= least).sum().item())) / weight.numel()
    return parts


def round_keep(keep: Mapping[str, float], number: int, rounds: int) -> dict[str, float]:
    """Part of each layer to keep after round `number` of `rounds`: much is pruned at first, less and less later.

    The sparsity is `final * (1 - (1 - number / rounds)^3)`.

    Examples
    --------
    >>> [round(round_keep({"fc": 0.1}, number, 3)["fc"], 3) for number in (0, 1, 2, 3)]
    [1.0, 0.367, 0.133, 0.1]
    """
    left = (1 - number / rounds) ** 3
    return {name: part + (1 - part) * left for name, part in keep.items()}


def kept(model: nn.Module) -> dict[str, tuple[int, int]]:
    """Weights of each layer, by its full name, that are not 0, and all of them."""
    return {
        name: (int(torch.count_nonzero(effective(layer))), layer.weight.numel())
        for name, layer in weighted_layers(model).items()
    }


def describe_kept(model: nn.Module) -> str:
    """A table of `kept`."""
    counts = kept(model)
    counts["total"] = (sum(left for left, _ in counts.values()), sum(size for _, size in counts.values()))
    rows = [(name, f"{left:,}", f"{size:,}", f"{100 * left / size:.3f} %") for name, (left, size) in counts.items()]
    return text_table([("layer", "weights kept", "of", ""), *rows])
