"""Cross-layer equalisation: the channels of a layer's bytes, which share one step, brought to alike sizes.

A layer's outputs are divided by a factor for each channel, and the weights that the next layers have for this channel
are multiplied with it. Where only ReLU or nothing is between them, and poolings, that changes no answer in floating
point, and in integers no channel is lost beside one that is much larger. [Nagel et al. 2019, "Data-Free Quantization
Through Weight Equalization and Bias Correction", arXiv 1906.04721, section 4.1; here with the ranges of activations in
place of the weights', as each output channel has a weight step of its own]
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable

import torch
from torch import nn

from host_train.layers.scale import ChannelScale
from host_train.quantisation.fold import check_folded
from host_train.quantisation.graph import LayerGraph, inputs_of, walk
from host_train.quantisation.layers.rules import bounds, input_reach, role, scale_inputs, scale_outputs
from host_train.quantisation.layers.state import Role
from host_train.quantisation.sequential import every_layer

ROUNDS = 3  # a weight's size is told beside the largest of its row, which changes with it


def equalised(folded: LayerGraph, batches: Iterable[torch.Tensor]) -> LayerGraph:
    """The same function with channels of alike sizes, as far as that is exact.

    Parameters
    ----------
    folded : LayerGraph
        From `fold`. It is not changed.
    batches : iterable of torch.Tensor
        Normalised training images float32 [n, channels, height, width].

    Returns
    -------
    LayerGraph
        Equal to `folded` up to the rounding of float32; weights that are 0 stay so.

    Raises
    ------
    NetworkError
        If the network is not folded.

    Examples
    --------
    >>> from host_train.quantisation.fold import fold
    >>> first, last = nn.Conv2d(1, 2, 1), nn.Linear(2, 1)
    >>> for layer, weight in ((first, [1.0, 400.0]), (last, [1.0, 1 / 400])):
    ...     _ = layer.weight.data.copy_(torch.tensor(weight).reshape(layer.weight.shape)), layer.bias.data.zero_()
    >>> made = equalised(fold(nn.Sequential(first, nn.ReLU(), nn.Flatten(), last)), [torch.ones(1, 1, 1, 1)])
    >>> made.get_submodule("0").weight.flatten().tolist(), made(torch.ones(1, 1, 1, 1)).item()
    ([1.0, 1.0], 2.0)
    """
    check_folded(folded)
    made = copy.deepcopy(folded)
    between = _between(made)
    sizes = _sizes(made, {activation for activation, _ in between.values()}, batches)
    for name, (activation, users) in between.items():
        size = sizes[activation]
        for _ in range(ROUNDS):
            factor = _balance(made, name, users, size)
            if factor is None:
                break
            size = size / factor
    return made.eval()


def _balance(model: LayerGraph, name: str, users: list[str], size: torch.Tensor) -> torch.Tensor | None:
    """Bring the channels of `name`, of the sizes float64 [channels], nearer to each other; what each was divided by,
    or None if that cannot be done.
    """
    reaches = [input_reach(model.get_submodule(user), len(size)) for user in users]
    known = [reach for reach in reaches if reach is not None]
    if len(known) < len(users):
        return None
    factor = _factors(size, torch.stack(known).amax(0))
    if not scale_outputs(model.get_submodule(name), ChannelScale((1 / factor).float())):
        return None
    for user in users:
        done = scale_inputs(model.get_submodule(user), ChannelScale(factor.float()))
        assert done, f"{user} has a reach by channel, so that its inputs can be scaled"
    return factor


def _between(model: LayerGraph) -> dict[str, tuple[str, list[str]]]:
    """By layer that gives sums: the activation that makes bytes of them, and the layers with weights that take these,
    where both commute with a factor for each channel.
    """
    layers, takes = dict(every_layer(model)), inputs_of(model)
    users: dict[str, list[str]] = {name: [] for name in layers}
    for name, taken in takes.items():
        for one in taken:
            if one in users:
                users[one].append(name)

    def weighted(name: str) -> list[str]:
        """The layers behind `name`, past what only moves values; an empty name for one that must not be scaled."""
        found: list[str] = []
        for user in users[name]:
            kind = role(layers[user], user)
            passes = kind in (Role.MOVING, Role.FLATTENING)
            found += weighted(user) if passes else [user if kind in (Role.SUMS, Role.SCALE) else ""]
        return found or [""]

    between = {}
    for name, layer in layers.items():
        if role(layer, name) in (Role.SUMS, Role.SCALE) and len(users[name]) == 1:
            activation = users[name][0]
            if role(layers[activation], activation) is Role.ACTIVATION:
                low, high = bounds(layers[activation])
                behind = weighted(activation)
                if low in (0.0, -math.inf) and high == math.inf and all(behind):
                    between[name] = activation, behind
    return between


def _sizes(model: nn.Sequential, names: set[str], batches: Iterable[torch.Tensor]) -> dict[str, torch.Tensor]:
    """The largest magnitude of each channel, float64 [channels], of the outputs of `names`."""
    sizes: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        for batch in batches:
            for name, _, _, values in walk(model, batch):
                if name in names:
                    size = values.abs().transpose(0, 1).flatten(1).amax(1).double()
                    sizes[name] = torch.maximum(sizes[name], size) if name in sizes else size
    return sizes


def _factors(size: torch.Tensor, reach: torch.Tensor) -> torch.Tensor:
    """The divisor of each channel, of about 1 in the middle.

    Parameters
    ----------
    size : torch.Tensor
        float64 [channels]: the largest magnitude of its values.
    reach : torch.Tensor
        float64 [channels]: how large the weights for it are, at most, beside the largest of their output; 0 where that
        does not matter.

    Notes
    -----
    Values and weights of a channel get the same size, the geometric mean of both. A channel whose weights have a step
    of their own fills the bytes.
    """
    both = size * reach
    top = both.amax().sqrt() if bool((both > 0).any()) else torch.ones((), dtype=torch.float64)
    wanted = torch.where(reach > 0, both.sqrt(), top)
    factor = torch.where(size > 0, size / wanted.clamp_min(torch.finfo(torch.float64).tiny), torch.nan)
    middle = factor.nanmedian()
    if not torch.isfinite(middle):
        return torch.ones_like(size)
    return factor.nan_to_num(float(middle)) / middle
