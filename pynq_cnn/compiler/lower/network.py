"""A network, layer after layer."""

from __future__ import annotations

from pynq_cnn.compiler.lower import avgpool, binary, concat, conv2d, dense, maxpool  # noqa: F401  # each registers itself
from pynq_cnn.compiler.lower.rule import Lowering, add, refusal
from pynq_cnn.compiler.stage import Stage
from pynq_cnn.model import BIT, Network


def lower(network: Network) -> list[Stage]:
    """The stages of a network, in order.

    Raises
    ------
    CompileError
        For layers that instruction set 1 does not have; names the layer.
    """
    stages: list[Stage] = []
    for node in network.nodes:
        so_far = Lowering(network.name, node, stages)
        if node.gives.datatype is BIT:
            raise refusal("layers of bits", so_far)
        requantisation = getattr(node.layer, "requantisation", None)
        if requantisation is not None and (requantisation.zero_point or requantisation.low):
            raise refusal("zero points", so_far)
        if getattr(node.layer, "skip", None) is not None:
            raise refusal("residual addition", so_far)
        add(node.layer, so_far)
    return stages
