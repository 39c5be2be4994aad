"""Adding a layer to the stages of a network, by its kind: each registers itself in its own file."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import singledispatch

from pynq_cnn.compiler.stage import Stage
from pynq_cnn.errors import CompileError
from pynq_cnn.model import Layer, Node


@dataclass
class Lowering:
    """A network on its way to stages.

    Parameters
    ----------
    network : str
        Its name, for messages.
    node : Node
        The layer that is next.
    stages : list of Stage
        Those of the layers before it.
    """

    network: str
    node: Node
    stages: list[Stage] = field(default_factory=list)


def refusal(what: str, so_far: Lowering) -> CompileError:
    """The refusal of a layer that instruction set 1 cannot run."""
    return CompileError(
        f"{so_far.node.name}: the engine has no {what} yet; use backend='reference' for {so_far.network}"
    )


@singledispatch
def add(layer: Layer, so_far: Lowering) -> None:
    """Add a layer, that of `so_far.node`, to the stages so far; `CompileError` if no stage can do its work."""
    raise TypeError(f"the compiler has no rule for {type(layer).__name__}")
