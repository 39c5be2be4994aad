"""Weight sharing: the weights of a layer take few values, each learnt with the gradients of all that share it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize, prune

from host_train.compression.prune import Model, Prunable, warn_left_out, weighted_layers
from host_train.compression.recipe import for_layers, index_bits
from host_train.quantisation.layers.sums import Summing, input_gain
from host_train.quantisation.sequential import flat
from pynq_cnn.errors import ArgumentError

FINE = 1 << 14  # more different values than this are put in as many equal bins before they are clustered


def cluster(values: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """k-means of numbers, from centres evenly spread between the smallest and the largest.

    That start keeps the few large weights, which matter most (Deep Compression, section 3.2). A bin of equal values
    counts as one sample of their weight, so millions cost no more than 16,384.

    Parameters
    ----------
    values : numpy.ndarray
        float [n], n at least 1.
    count : int
        Most clusters.

    Returns
    -------
    centres : numpy.ndarray
        float64 [k], k at most `count`, ascending, each nearest to some value.
    codes : numpy.ndarray
        int64 [n], the nearest centre of each value.

    Examples
    --------
    >>> centres, codes = cluster(np.array([1.0, 2.0, -5.0, 1.5, 9.0]), 3)
    >>> centres.tolist(), codes.tolist()
    ([-5.0, 1.5, 9.0], [1, 1, 0, 1, 2])
    """
    values = np.asarray(values, np.float64)
    if not len(values) or not np.isfinite(values).all():
        raise ArgumentError(
            f"{len(values)} values, of which {int((~np.isfinite(values)).sum())} not finite, cannot be clustered"
        )
    points, weights = np.unique(values, return_counts=True)
    if len(points) <= count:
        return points, np.searchsorted(points, values)
    if len(points) > FINE:
        edges = np.linspace(points[0], points[-1], FINE + 1)
        sums, _ = np.histogram(values, edges, weights=values)
        weights, _ = np.histogram(values, edges)
        points, weights = sums[weights > 0] / weights[weights > 0], weights[weights > 0]
    from sklearn.cluster import KMeans  # takes as long to load as PyTorch

    count = min(count, len(points))  # a value far out leaves most bins empty
    start = np.linspace(points[0], points[-1], count)[:, None]
    centres = np.unique(
        KMeans(count, init=start, n_init=1, tol=0).fit(points[:, None], sample_weight=weights).cluster_centers_
    )
    codes = np.searchsorted((centres[1:] + centres[:-1]) / 2, values)
    used, codes = np.unique(codes, return_inverse=True)
    return centres[used], codes.reshape(-1)


class SharedValues(nn.Module):
    """The weight of a layer as a function of its codebook; to be registered as a parametrisation of `weight`.

    `weight[places[i]] = codebook[codes[i]] / gain[i]`, and 0 elsewhere. Autograd gives the codebook the sum of the
    gradients of all weights that share a value (Deep Compression, section 3.3).

    Parameters
    ----------
    weight : torch.Tensor
        Pruned; what is 0 stays so.
    bits : int
        2 to 8: at most `2^bits - 1` values, as zero has a code too.
    gain : torch.Tensor, optional
        Broadcast to the weight: what is shared is `weight * gain` (see `QuantisedConv2d`: the first layer's integers
        are those of `weight / std`).
    """

    places: torch.Tensor
    codes: torch.Tensor
    gain: torch.Tensor

    def __init__(self, weight: torch.Tensor, bits: int, gain: torch.Tensor | None = None) -> None:
        super().__init__()
        flat = weight.detach().flatten()
        places = torch.nonzero(flat).flatten()
        own = torch.ones_like(weight) if gain is None else gain.expand_as(weight)
        gains = own.flatten()[places]
        _, codes = cluster((flat[places] * gains).cpu().numpy(), 2**bits - 1)
        self.shape = weight.shape
        self.register_buffer("places", places)
        self.register_buffer("codes", torch.from_numpy(codes).to(places.device))
        self.register_buffer("gain", gains)

    def forward(self, codebook: torch.Tensor) -> torch.Tensor:
        flat = codebook.new_zeros(self.shape.numel()).index_put((self.places,), codebook[self.codes] / self.gain)
        return flat.reshape(self.shape)

    def right_inverse(self, weight: torch.Tensor) -> torch.Tensor:
        """The codebook: the mean of the members of each cluster."""
        members = (weight.detach().flatten()[self.places] * self.gain).double()
        return (torch.bincount(self.codes, members) / torch.bincount(self.codes)).float()


def share(model: Model, bits: Mapping[str, int], std: tuple[float, ...]) -> Model:
    """`model` itself, its weights shared: each layer's only trainable weight is its codebook.

    Parameters
    ----------
    model : torch.nn.Module
        Any, perhaps pruned, without masks (`prune.plain`); layers are found in nested modules too.
    bits : mapping
        Width of a codebook index, 2 to 8, by the layer's full name, or `"*"` for all others. A layer that is not named
        stays as it is.
    std : tuple of float
        Per-channel standard deviation that the images were divided by.

    Raises
    ------
    ArgumentError
        If `bits` names a layer that is not there (it lists those that are); if a layer has masks, is shared already or
        has no weights left; or if channels differ in `std` and the model is no Sequential, of which one knows the first
        layer.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(6, 2))
    >>> model[0].weight.data = torch.tensor([[0.0, 1.0, 1.5, -4.0, 0.0, 8.0], [9.0, 0.0, 0.0, 0.0, 1.25, 0.0]])
    >>> codebook(share(model, {"0": 2}, (1.0,))[0]).tolist()
    [-4.0, 1.25, 8.5]
    >>> model[0].weight.tolist()
    [[0.0, 1.25, 1.25, -4.0, 0.0, 8.5], [8.5, 0.0, 0.0, 0.0, 1.25, 0.0]]
    """
    layers = weighted_layers(model)
    widths = {name: index_bits(name, width) for name, width in for_layers("bits", bits, layers).items()}
    for name in widths:
        if prune.is_pruned(layers[name]):
            raise ArgumentError(f"{name} has masks; take them off first: share(plain(model), ...)")
        if parametrize.is_parametrized(layers[name], "weight"):
            raise ArgumentError(
                f"the weight of {name} is parametrised, or shared already; share it once, of a plain layer"
            )
        if not layers[name].weight.any():
            raise ArgumentError(f"{name} has no weights left to share; prune it less")
    warn_left_out(model)
    gains = _gain_over_images(model, std)
    for name, width in widths.items():
        layer = layers[name]
        parametrize.register_parametrization(layer, "weight", SharedValues(layer.weight, width, gains.get(name)))
    return model


def _gain_over_images(model: nn.Module, std: tuple[float, ...]) -> dict[str, torch.Tensor]:
    """The gain of the first layer's weights (`SharedValues`), by its name; empty where that is one factor for all of
    them.
    """
    in_order = flat(model) if isinstance(model, nn.Sequential) else [("", model)]
    name, layer = next(
        (name, one) for name, one in in_order if any(isinstance(part, Prunable) for part in one.modules())
    )
    if isinstance(layer, Summing):
        return {name: input_gain(layer, std).reshape(1, -1, *[1] * (layer.weight.ndim - 2))}
    if len(set(std)) > 1:
        raise ArgumentError(
            f"the channels of the images were divided by {std}, which goes into the weights of the first layer, and"
            f" which layer of a {type(layer).__name__} that is, is not known; share the weights of"
            " host_train.tracing.trace.trace(model, images).layers"
        )
    return {}


def codebook(layer: nn.Module) -> nn.Parameter:
    """The shared values of a layer, float [k]."""
    return layer.parametrizations.weight.original  # type: ignore[union-attr, return-value]


def unshared(shared: Model, change: Callable[[torch.Tensor], torch.Tensor] = lambda values: values) -> Model:
    """The same network in plain layers, on the CPU, in evaluation mode; `shared` is not changed.

    Parameters
    ----------
    shared : torch.nn.Module
        From `share`.
    change : callable
        Applied to the codebook of each layer first, such as to round it.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(2, 1))
    >>> model[0].weight.data = torch.tensor([[0.4, 2.75]])
    >>> unshared(share(model, {"0": 2}, (1.0,)), torch.round)[0].weight.tolist()
    [[0.0, 3.0]]
    """
    # Layers that are there as plain ones already are not copied; each other place of the same layer gets the same plain
    # one.
    plain_ones = {id(layer): _plain(layer, change) for layer in shared.modules() if _is_shared(layer)}
    return copy.deepcopy(shared, plain_ones).cpu().eval()


def _is_shared(layer: nn.Module) -> bool:
    return parametrize.is_parametrized(layer, "weight") and isinstance(layer.parametrizations.weight[0], SharedValues)  # type: ignore[union-attr, index]


def _plain(layer: nn.Module, change: Callable[[torch.Tensor], torch.Tensor]) -> nn.Module:
    """A layer of its class before it was parametrised.

    Not by `remove_parametrizations` of a copy: copies of a parametrised layer share its class, and taking the
    parametrisation off one breaks the others.
    """
    kind: type[nn.Module] = parametrize.type_before_parametrizations(layer)
    bare = kind.__new__(kind)
    bare.__dict__.update(copy.deepcopy(layer.__dict__))
    del bare._modules["parametrizations"]
    with torch.no_grad():
        weight = layer.parametrizations.weight[0](change(codebook(layer)))  # type: ignore[union-attr, index, operator]
    bare.register_parameter("weight", nn.Parameter(weight))
    return bare
