"""A binary network as blocks: a binary layer with what stands between it and the next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from torch import nn

from host_train.layers.about import about
from host_train.layers.binary import BinaryConv2d, BinaryLinear, Sign
from host_train.quantisation.fold import NORMS, check_options, pair
from pynq_cnn.errors import NetworkError

SUPPORTED = "BinaryConv2d, BinaryLinear, BatchNorm1d/2d, Hardtanh, signs, MaxPool2d and Flatten"


@dataclass(eq=False)
class Block:
    """A binary layer with what stands between it and the next.

    Parameters
    ----------
    name : str
        The layer's.
    layer : BinaryConv2d or BinaryLinear
        The layer.
    before, after : list of torch.nn.Module
        Functions of single channels, before and behind the pooling; without pooling all are before it.
    pools : list of (str, torch.nn.MaxPool2d)
        The pooling.
    """

    name: str
    layer: BinaryConv2d | BinaryLinear
    before: list[nn.Module] = field(default_factory=list)
    after: list[nn.Module] = field(default_factory=list)
    pools: list[tuple[str, nn.MaxPool2d]] = field(default_factory=list)

    @property
    def outputs(self) -> int:
        """Output channels."""
        return len(self.layer.weight)


def blocks(layers: Iterable[tuple[str, nn.Module]]) -> list[Block]:
    """A binary network, or its beginning, as blocks.

    Parameters
    ----------
    layers : iterable of (str, torch.nn.Module)
        Names and layers from the first on.

    Raises
    ------
    NetworkError
        Names the first layer that is out of place, whatever may follow.
    """
    found: list[Block] = []
    for name, layer in layers:
        with about(name):
            check_options(name, layer)
        if isinstance(layer, (BinaryConv2d, BinaryLinear)):
            with about(name):
                _check_input(name, layer, first=not found)
            found.append(Block(name, layer))
        elif isinstance(layer, nn.Flatten):
            continue
        elif not found or not isinstance(layer, (*NORMS, nn.Hardtanh, Sign, nn.MaxPool2d)):
            where = "a binary network" if found else "front of the first binary layer"
            raise NetworkError(
                f"{name} is a {type(layer).__name__}, which has no place in {where}; use {SUPPORTED}", name
            )
        elif isinstance(layer, nn.MaxPool2d):
            if any(isinstance(one, NORMS) for one in found[-1].after):
                raise NetworkError(
                    f"{name} pools what is pooled already before a batch norm; put all pooling before it, or all"
                    " behind it",
                    name,
                )
            found[-1].pools.append((name, layer))
        else:
            if isinstance(layer, NORMS) and layer.num_features != found[-1].outputs:
                raise NetworkError(
                    f"{name} has {layer.num_features} channels, but {found[-1].name} before it {found[-1].outputs}; put"
                    " a BatchNorm2d before the flattening",
                    name,
                )
            (found[-1].after if found[-1].pools else found[-1].before).append(layer)
    return found


def _check_input(name: str, layer: BinaryConv2d | BinaryLinear, first: bool) -> None:
    """Bytes go into the first layer, bits into the others."""
    if isinstance(layer, BinaryLinear):
        if first:
            raise NetworkError(
                f"{name} is a BinaryLinear over bytes, but only a BinaryConv2d can take those: use one whose kernel is"
                " the whole image, with an input_step, and Flatten behind it"
            )
        return
    if (layer.input_step is not None) != first:
        raise NetworkError(
            f"{name} is the first layer and needs an input_step: it sees bytes"
            if first
            else f"{name} has an input_step, but only the first layer sees bytes; remove it"
        )
    if any(pad >= side for pad, side in zip(pair(layer.padding), layer.weight.shape[2:])):
        raise NetworkError(
            f"{name} has padding={layer.padding}, which must be smaller than its kernel {tuple(layer.weight.shape[2:])}"
        )


def check_end(found: Sequence[Block]) -> None:
    """Refuse blocks that do not end with logits: those of a BinaryLinear, perhaps with batch norm."""
    wanted = "a binary network must end with a BinaryLinear, perhaps with BatchNorm1d behind it, not with"
    if not found:
        raise NetworkError(f"{wanted} nothing")
    last = found[-1]
    if not isinstance(last.layer, BinaryLinear) or last.pools or not all(isinstance(one, NORMS) for one in last.before):
        raise NetworkError(f"{last.name}: {wanted} {last.name} and what follows it", last.name)
