"""A binary network as blocks: a binary layer with what stands between it and the next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import nn

from host_train.layers.about import about
from host_train.quantisation.layers.binary import gives_logits
from host_train.quantisation.layers.rules import add_to_blocks, check_options, is_scale
from host_train.quantisation.layers.state import Block
from pynq_cnn.errors import NetworkError


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
            check_options(layer, name)
            add_to_blocks(layer, name, found)
    return found


def check_end(found: Sequence[Block]) -> None:
    """Refuse blocks that do not end with logits: those of a BinaryLinear, perhaps with batch norm or constants."""
    wanted = "a binary network must end with a BinaryLinear, perhaps with BatchNorm1d behind it, not with"
    if not found:
        raise NetworkError(f"{wanted} nothing")
    last = found[-1]
    if not gives_logits(last.layer) or last.pools or not all(is_scale(one) for one in last.before):
        raise NetworkError(f"{last.name}: {wanted} {last.name} and what follows it", last.name)
