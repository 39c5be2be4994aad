"""Where each tensor lies: in a buffer of its own, or beside those that it is concatenated with."""

from __future__ import annotations

from dataclasses import dataclass

from pynq_cnn.compiler.buffers import Buffer, View, ceil_div
from pynq_cnn.compiler.lower.rule import side_by_side
from pynq_cnn.errors import CompileError
from pynq_cnn.model import BIT, INT32, Network
from pynq_cnn.model.layers import INPUT


@dataclass(frozen=True)
class Homes:
    """Where tensors lie.

    Parameters
    ----------
    views : dict
        By the names of layers, and "input"; int32 results lie nowhere.
    copies : dict
        By the names of concatenations: operands (numbers) that have to be copied to their place, and where that is.
    """

    views: dict[str, View]
    copies: dict[str, list[tuple[int, View]]]


def find_homes(network: Network) -> Homes:
    """Places for all tensors of a network: an operand of a concatenation is given right in its place there.

    Raises
    ------
    CompileError
        If bits are concatenated that do not fill bytes.
    """
    height, width, channels = network.input_shape
    image = Buffer(INPUT, height, width, channels, width * channels)
    views: dict[str, View] = {INPUT: View(image, 0, channels)}
    copies: dict[str, list[tuple[int, View]]] = {}
    for node in reversed(network.nodes):
        height, width, channels = node.gives.shape
        bits = node.gives.datatype is BIT
        if node.gives.datatype is INT32:
            continue
        if node.name not in views:
            pitch = ceil_div(channels, 8) if bits else channels
            views[node.name] = View(Buffer.of(node.name, height, width, pitch), 0, channels, bits)
        if side_by_side(node.layer):
            first, copies[node.name] = 0, []
            for number, (name, given) in enumerate(zip(node.inputs, node.given)):
                if bits and first % 8:
                    raise CompileError(
                        f"{node.name}: {node.inputs[number - 1]} gives {node.given[number - 1].shape[2]} channels of"
                        " bits, and only the last of what is concatenated may have a number that 8 does not divide;"
                        " use backend='cpu'"
                    )
                place = views[node.name].part(first, given.shape[2])
                if name in views:
                    copies[node.name].append((number, place))
                else:
                    views[name] = place
                first += given.shape[2]
    return Homes(views, copies)
