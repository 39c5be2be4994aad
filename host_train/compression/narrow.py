"""Whole units left out of a trained network before its weights are pruned: layers with fewer channels.

What is left is pruned as any other network; its gaps are shorter, as whole rows and columns of zeros are not there.
[Li et al. 2017, "Pruning Filters for Efficient ConvNets", arXiv 1608.08710; here what reads a unit counts too]
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import nn

from host_train.quantisation.graph import is_chain
from host_train.quantisation.layers.sums import Summing
from host_train.quantisation.sequential import every_layer
from pynq_cnn.checks import integer
from pynq_cnn.errors import ArgumentError


def narrow(model: nn.Sequential, units: Mapping[str, int]) -> nn.Sequential:
    """`model` with fewer outputs of some layers: those of the largest weights into and out of them.

    A unit counts for the norm of its own weights times the norm of those that read it, which scaling one against the
    other does not change.

    Parameters
    ----------
    model : torch.nn.Sequential
        Folded (`host_train.quantisation.fold.fold`). It is not changed.
    units : mapping
        Outputs to keep, by the layer's name; a layer that is not named keeps all.

    Returns
    -------
    torch.nn.Sequential
        Of the same layers, to be trained further.

    Raises
    ------
    ArgumentError
        If `units` names a layer that is not there or the last one, whose outputs are the answers; if a number is out
        of range; if a layer has groups; or if the network has branches.

    Examples
    --------
    >>> from collections import OrderedDict
    >>> model = nn.Sequential(OrderedDict(a=nn.Linear(1, 3), r=nn.ReLU(), b=nn.Linear(3, 2)))
    >>> model.a.weight.data = torch.tensor([[1.0], [9.0], [3.0]])
    >>> model.b.weight.data = torch.tensor([[1.0, 0.1, 2.0], [0.0, 0.0, -1.0]])
    >>> small = narrow(model, {"a": 2})
    >>> small.a.weight.flatten().tolist(), small.b.weight.tolist()
    ([1.0, 3.0], [[1.0, 2.0], [0.0, -1.0]])
    """
    small = copy.deepcopy(model)
    if units and not is_chain(small):
        raise ArgumentError("units are left out of networks without branches only; leave out weights instead (keep)")
    summing = [(name, layer) for name, layer in every_layer(small) if isinstance(layer, Summing)]
    can = [name for name, _ in summing[:-1]]
    for name in units:
        if name not in can:
            raise ArgumentError(
                f"units names {name!r}; the layers whose outputs can be fewer are {', '.join(can) or 'none'}"
            )
    for (name, layer), reader in zip(summing, summing[1:]):
        if name in units:
            count = integer(f"the units of {name}", units[name], 1, len(layer.weight))
            _leave_out(name, layer, *reader, count)
    return small.eval()


def _leave_out(name: str, layer: Summing, reader_name: str, reader: Summing, count: int) -> None:
    for one, called in ((layer, name), (reader, reader_name)):
        if isinstance(one, nn.Conv2d) and one.groups != 1:
            raise ArgumentError(f"{called} has groups of channels, of which single ones cannot be left out")
    with torch.no_grad():
        by_unit = reader.weight.reshape(len(reader.weight), len(layer.weight), -1)
        counts_for = layer.weight.flatten(1).norm(dim=1) * by_unit.transpose(0, 1).flatten(1).norm(dim=1)
        left = counts_for.topk(count).indices.sort().values
        layer.weight = nn.Parameter(layer.weight[left].clone())
        if layer.bias is not None:
            layer.bias = nn.Parameter(layer.bias[left].clone())
        columns = by_unit[:, left].reshape(len(reader.weight), -1, *reader.weight.shape[2:])
        reader.weight = nn.Parameter(columns.clone())
    if isinstance(layer, nn.Conv2d):
        layer.out_channels = count
    else:
        layer.out_features = count
    if isinstance(reader, nn.Conv2d):
        reader.in_channels = count
    else:
        reader.in_features = reader.weight.shape[1]
