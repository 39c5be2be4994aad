"""Lowering a layer by its kind: each registers itself in its own file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch

from pynq_cnn.compiler.buffers import View
from pynq_cnn.compiler.hardware import Hardware
from pynq_cnn.compiler.stage import Step
from pynq_cnn.errors import CompileError
from pynq_cnn.model import Layer, Node, TensorType


@dataclass(frozen=True)
class Pool:
    """A window that slides over what a layer gives.

    Parameters
    ----------
    size, stride : tuple of int
        (vertical, horizontal).
    """

    size: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class Task:
    """A layer that is to be lowered, in its place.

    Parameters
    ----------
    name : str
        Its name, and that of the pooling that it takes along.
    node : Node
        The layer.
    given : tuple of View
        Where its inputs are.
    gives : View or None
        Where its output goes, behind the pooling; None for int32 results.
    pool : Pool
        The pooling that it takes along; of one pixel if there is none.
    hardware : Hardware
        What it runs on.
    images : int
        How many, in a batch.
    copies : tuple of (int, View)
        Of a concatenation: inputs, by number, that are not in their place yet, and their place.
    """

    name: str
    node: Node
    given: tuple[View, ...]
    gives: View | None
    pool: Pool
    hardware: Hardware
    images: int
    copies: tuple[tuple[int, View], ...] = ()

    @property
    def pads(self) -> tuple[int, ...]:
        """The byte of each input channel that a padded pixel has."""
        given: TensorType = self.node.given[0]
        return given.zero_point * (given.shape[2] // len(given.zero_point))

    def refuse(self, why: str) -> CompileError:
        """The refusal of the layer."""
        return CompileError(f"{self.name}: {why}; use backend='cpu'")


@singledispatch
def lower_layer(layer: Layer, task: Task) -> list[Step]:
    """The steps of a layer, that of `task.node`; `CompileError` if none can do its work."""
    raise TypeError(f"the compiler has no rule for {type(layer).__name__}")


@singledispatch
def pool_of(layer: Layer) -> Pool | None:
    """The pooling that a layer is, if the one before it can take it along."""
    return None


@singledispatch
def takes_pool(layer: Layer) -> bool:
    """Whether a layer can take along the pooling behind it."""
    return False


@singledispatch
def side_by_side(layer: Layer) -> bool:
    """Whether a layer is nothing but its inputs side by side."""
    return False
