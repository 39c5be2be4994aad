"""The graph of a network: which tensors each layer takes, and what it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pynq_cnn.errors import NetworkError
from pynq_cnn.model.datatype import INT32
from pynq_cnn.model.description import short
from pynq_cnn.model.layers import INPUT, MAX_DIMENSION, Layer
from pynq_cnn.model.tensor import TensorType


@dataclass(frozen=True)
class Node:
    """A layer in its place.

    Parameters
    ----------
    layer : Layer
        Its arithmetic.
    inputs : tuple of str
        The layers that it takes tensors from, or "input", in its own order.
    given : tuple of TensorType
        These tensors.
    gives : TensorType
        Its own.
    """

    layer: Layer
    inputs: tuple[str, ...]
    given: tuple[TensorType, ...]
    gives: TensorType

    @property
    def name(self) -> str:
        """The layer's."""
        return self.layer.name

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return self.layer.macs(*self.given)


def connect(given: TensorType, layers: Sequence[Layer]) -> tuple[Node, ...]:
    """The nodes of a network, in order; a layer that names no inputs takes what the layer before it gives.

    Parameters
    ----------
    given : TensorType
        The network's input.
    layers : sequence of Layer
        Each behind those that it takes tensors from.

    Raises
    ------
    NetworkError
        If a layer takes what is not there before it, or not what is given; if nothing takes what it gives; if a layer
        other than the last gives accumulators. Names the layer.
    """
    tensors, before, nodes = {INPUT: given}, INPUT, []
    used: set[str] = set()
    for layer in layers:
        inputs = layer.inputs or (before,)
        for name in inputs:
            if name not in tensors:
                raise NetworkError(
                    f"{layer.name} takes {short(name)}, and no layer before it is called so; name earlier layers, or"
                    f" {INPUT!r}",
                    layer.name,
                )
            if tensors[name].datatype is INT32:
                raise NetworkError(
                    f"{name} gives int32, but only the last layer, {layers[-1].name}, may; give it a multiplier and"
                    " shift",
                    name,
                )
        node = Node(layer, inputs, tuple(tensors[name] for name in inputs), layer.output(*(tensors[n] for n in inputs)))
        if max(node.gives.shape) > MAX_DIMENSION:
            raise NetworkError(f"{layer.name} gives {node.gives.shape}; sizes go up to {MAX_DIMENSION}", layer.name)
        nodes.append(node)
        used.update(inputs)
        tensors[layer.name], before = node.gives, layer.name
    unused = [layer.name for layer in layers[:-1] if layer.name not in used]
    if unused:
        raise NetworkError(f"no layer takes what {unused[0]} gives; remove it, or name it as an input", unused[0])
    return tuple(nodes)
