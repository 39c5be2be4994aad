"""A tensor of the model: the numbers of a layer, in its order or another."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from pynq_cnn.errors import NetworkError

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Ending:
    """A softmax or sigmoid, with its name, its place in the user's source, and how many values of each image it is
    over.
    """

    name: str
    layer: nn.Module
    place: str
    over: int


@dataclass(frozen=True, eq=False)
class Flow:
    """A tensor that depends on the images.

    Parameters
    ----------
    name : str
        The layer whose numbers it has, or "input".
    given : tuple of int
        Shape of what that layer gives for one image: (channels, height, width) or (features,).
    shape : tuple of int
        Its own shape, [n, ...].
    index : torch.Tensor, optional
        int64 of `shape`: the place of each number among those that the layer gives for n images, -1 for a 0; None if
        they are all there in their order.
    where : str
        Place and name of the operation that moved them last.
    ending : Ending, optional
        Softmax or sigmoid of these numbers, which the host computes.
    made : dict
        Layers that put the numbers in this order, once they are made.
    """

    name: str
    given: Shape
    shape: Shape
    index: torch.Tensor | None = None
    where: str = ""
    ending: Ending | None = None
    made: dict[Shape, str] = field(default_factory=dict)

    @property
    def places(self) -> torch.Tensor:
        """`index`, whether they are in their order or not."""
        return torch.arange(math.prod(self.shape)).reshape(self.shape) if self.index is None else self.index

    def moved(self, move: Callable[[torch.Tensor], Any], where: str) -> Any:
        """The Flow, or the list of them, behind an operation that gives numbers that it is given, or 0."""
        return self._of(move(self.places), where)

    def _of(self, index: Any, where: str) -> Any:
        if isinstance(index, (tuple, list)):
            return [self._of(one, where) for one in index]
        if not isinstance(index, torch.Tensor):
            raise NetworkError("what it gives is no tensor and cannot be mapped")
        whole = index.numel() == self.shape[0] * math.prod(self.given)
        same = whole and torch.equal(index.reshape(-1), torch.arange(index.numel()))
        return Flow(self.name, self.given, tuple(index.shape), None if same else index.contiguous(), where, self.ending)

    def of_one(self) -> torch.Tensor:
        """Places in one image; `NetworkError` if images are mixed."""
        if not len(self.shape) or self.shape[0] < 2:
            raise NetworkError("it takes single images, or numbers of several, together; keep the first dimension")
        index, size = self.places, math.prod(self.given)
        first = index[0]
        if not torch.equal(index[1], torch.where(first >= 0, first + size, first)):
            raise NetworkError("it mixes images; keep the first dimension, that of the batch")
        return first

    @property
    def all_there(self) -> bool:
        """Whether every number is there once."""
        if self.index is None:
            return True
        count = self.shape[0] * math.prod(self.given)
        return self.index.numel() == count and bool((self.index.reshape(-1).sort()[0] == torch.arange(count)).all())
