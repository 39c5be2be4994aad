"""Adding a layer to the stages of a network, by its kind: each registers itself in its own file."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import singledispatch

from pynq_cnn.compiler.stage import Stage
from pynq_cnn.errors import CompileError
from pynq_cnn.model import Layer
from pynq_cnn.model.layers import Shape


@dataclass
class Lowering:
    """A network on its way to stages.

    Parameters
    ----------
    network : str
        Its name, for messages.
    in_shape, out_shape : tuple of int
        (height, width, channels) before and behind the layer that is next.
    stages : list of Stage
        Those of the layers before it.
    """

    network: str
    in_shape: Shape
    out_shape: Shape
    stages: list[Stage] = field(default_factory=list)


def no_bits(layer: Layer, so_far: Lowering) -> CompileError:
    """The refusal of a layer that gives or takes bits, which instruction set 1 does not have."""
    return CompileError(
        f"{layer.name}: the engine has no layers of bits yet; use backend='reference' for {so_far.network}"
    )


@singledispatch
def add(layer: Layer, so_far: Lowering) -> None:
    """Add a layer to the stages so far; `CompileError` if no stage can do its work."""
    raise TypeError(f"the compiler has no rule for {type(layer).__name__}")
