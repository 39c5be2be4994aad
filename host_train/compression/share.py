"""Weight sharing: the weights of a layer take few values, each learnt with the gradients of all that share it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import nn
from torch.nn.utils import parametrize

from host_train.compression.prune import Weighted, weighted_layers
from host_train.quantisation.fake import first_gain
from host_train.quantisation.fold import WEIGHTED
from pynq_cnn.errors import ArgumentError

FINE = 1 << 14  # more different values than this are put in as many equal bins before they are clustered


def cluster(values: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """k-means of numbers, from centres evenly spread between the smallest and the largest.

    That start keeps the few large weights, which matter most (Deep Compression, section 3.2). A bin of equal values counts as one sample
    of their weight, so millions cost no more than 16,384.

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
        raise ArgumentError(f"{len(values)} values, of which {int((~np.isfinite(values)).sum())} not finite, cannot be clustered")
    points, weights = np.unique(values, return_counts=True)
    if len(points) <= count:
        return points, np.searchsorted(points, values)
    if len(points) > FINE:
        edges = np.linspace(points[0], points[-1], FINE + 1)
        sums, _ = np.histogram(values, edges, weights=values)
        weights, _ = np.histogram(values, edges)
        points, weights = sums[weights > 0] / weights[weights > 0], weights[weights > 0]
    count = min(count, len(points))  # a value far out leaves most bins empty
    start = np.linspace(points[0], points[-1], count)[:, None]
    centres = np.unique(KMeans(count, init=start, n_init=1, tol=0).fit(points[:, None], sample_weight=weights).cluster_centers_)
    codes = np.searchsorted((centres[1:] + centres[:-1]) / 2, values)
    used, codes = np.unique(codes, return_inverse=True)
    return centres[used], codes.reshape(-1)


class SharedValues(nn.Module):
    """The weight of a layer as a function of its codebook; to be registered as a parametrisation of `weight`.

    `weight[places[i]] = codebook[codes[i]] / gain[i]`, and 0 elsewhere. Autograd gives the codebook the sum of the gradients of all weights
    that share a value (Deep Compression, section 3.3).

    Parameters
    ----------
    weight : torch.Tensor
        Pruned; what is 0 stays so.
    bits : int
        2 to 8: at most `2^bits - 1` values, as zero has a code too.
    gain : torch.Tensor, optional
        Broadcast to the weight: what is shared is `weight * gain` (see `QuantisedConv2d`: the first layer's integers are those of
        `weight / std`).
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


def share(model: nn.Sequential, bits: Mapping[str, int], std: tuple[float, ...]) -> nn.Sequential:
    """`model` itself, its weights shared: each layer's only trainable weight is its codebook.

    Parameters
    ----------
    model : torch.nn.Sequential
        From `fold`, pruned, without masks.
    bits : mapping
        Width of a codebook index, of every layer with weights.
    std : tuple of float
        What the images were divided by, per channel.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(6, 2))
    >>> model[0].weight.data = torch.tensor([[0.0, 1.0, 1.5, -4.0, 0.0, 8.0], [9.0, 0.0, 0.0, 0.0, 1.25, 0.0]])
    >>> codebook(share(model, {"0": 2}, (1.0,))[0]).tolist()
    [-4.0, 1.25, 8.5]
    >>> model[0].weight.tolist()
    [[0.0, 1.25, 1.25, -4.0, 0.0, 8.5], [8.5, 0.0, 0.0, 0.0, 1.25, 0.0]]
    """
    for number, (name, layer) in enumerate(weighted_layers(model).items()):
        if not layer.weight.any():
            raise ArgumentError(f"{name} has no weights left to share; prune it less")
        gain = first_gain(layer, std).reshape(1, -1, *[1] * (layer.weight.ndim - 2)) if number == 0 else None
        parametrize.register_parametrization(layer, "weight", SharedValues(layer.weight, bits[name], gain))
    return model


def codebook(layer: nn.Module) -> nn.Parameter:
    """The shared values of a layer, float [k]."""
    return layer.parametrizations.weight.original  # type: ignore[union-attr, return-value]


def unshared(shared: nn.Sequential, change: Callable[[torch.Tensor], torch.Tensor] = lambda values: values) -> nn.Sequential:
    """The same network in plain layers, on the CPU; `shared` is not changed.

    Parameters
    ----------
    shared : torch.nn.Sequential
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
    layers: list[tuple[str, nn.Module]] = []
    for name, layer in shared.named_children():
        if isinstance(layer, WEIGHTED):
            # Built anew: copies of a parametrised layer share its class, and taking the parametrisation off one breaks the others.
            bare: Weighted
            if isinstance(layer, nn.Conv2d):
                bare = nn.Conv2d(layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding)  # type: ignore[arg-type]
            else:
                bare = nn.Linear(layer.in_features, layer.out_features)
            assert layer.bias is not None  # `fold` has given every layer one
            with torch.no_grad():
                bare.weight.copy_(layer.parametrizations.weight[0](change(codebook(layer))))  # type: ignore[union-attr, index, operator]
                bare.bias.copy_(layer.bias)  # type: ignore[union-attr]
            layer = bare
        layers.append((name, layer))
    return nn.Sequential(OrderedDict(layers)).eval()
