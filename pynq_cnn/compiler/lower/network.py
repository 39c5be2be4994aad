"""A network, layer after layer."""

from __future__ import annotations

from pynq_cnn.compiler.lower import avgpool, binary, conv2d, dense, maxpool  # noqa: F401  # each registers its kind
from pynq_cnn.compiler.lower.rule import Lowering, add, no_bits
from pynq_cnn.compiler.stage import Stage
from pynq_cnn.model import BIT, Network


def lower(network: Network) -> list[Stage]:
    """The stages of a network, in order.

    Raises
    ------
    CompileError
        For layers of bits, which instruction set 1 does not have.
    """
    so_far = Lowering(network.name, network.input_shape, network.input_shape)
    for layer, out_shape, kind in zip(network.layers, network.shapes(), network.types()):
        so_far.in_shape, so_far.out_shape = so_far.out_shape, out_shape
        if kind is BIT:
            raise no_bits(layer, so_far)
        add(layer, so_far)
    return so_far.stages
